from rich.console import Console

from gnnkit.studies.text.progress import TextProgress


def shown(*, terminal, step=0):
    console = Console(force_terminal=terminal, width=150)
    with console.capture() as captured, TextProgress(console, 100, step) as progress:
        progress.advance(step + 10, 1.25, 0.625)
        progress.validated(step + 10, 1.875, "of the\n[bold] same time")
    return captured.get()


def test_a_validation_is_a_line_and_a_sample_anywhere():
    text = shown(terminal=False)
    first, second = text.splitlines()
    assert first.startswith("step 10  ")
    assert "steps/s  loss 1.2500  accuracy 0.625" in first
    assert "s left  validation 1.875 bits a character" in first
    assert second == "  of the [bold] same time"  # its text is no markup


def test_a_terminal_gets_a_bar_too():
    text = shown(terminal=True)
    assert "training" in text
    assert "accuracy 0.625" in text


def test_it_says_where_it_goes_on():
    assert shown(terminal=False, step=40).splitlines()[0] == "going on after step 40 of 100"


def test_without_a_console_it_is_silent(capsys):
    with TextProgress(None, 100, 5) as progress:
        progress.advance(10, 1.0, 0.5)
        progress.validated(10, 2.0, "sample")
    assert capsys.readouterr() == ("", "")
