import io

from rich.console import Console

from gnnkit.report.terminal import say, terminal_table


def printed(width, show):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show(console)
    return console.file.getvalue()


def test_words_stand_at_the_left_and_numbers_at_the_right():
    table = terminal_table(["model", "MAE", "start"], (0, 2))
    table.add_row("gru", "3.1", "x")
    table.add_row("a-model-with-a-long-name", "12.25", "report")
    lines = [line.rstrip() for line in printed(60, lambda console: console.print(table)).splitlines() if line.strip()]
    assert lines[0].split() == ["model", "MAE", "start"]
    assert lines[2:] == [" gru                   3.1  x", " a-model-with-a-lo…  12.25  report"]


def test_sentences_are_wrapped_at_a_hundred_columns_and_are_no_markup():
    text = printed(160, lambda console: say(console, "[red]word[/red] " + "and " * 40))
    assert text.startswith("[red]word[/red] and")
    assert max(map(len, text.splitlines())) <= 100
