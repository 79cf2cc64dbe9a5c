"""`gnnkit text`: train a character LSTM on a book, let it write, and study what it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.options import help_text, takes
from gnnkit.cli.options import named_option as _set

__all__ = ["app", "study", "train", "write"]

app = typer.Typer(
    rich_markup_mode="rich",
    help="A character LSTM that writes: train it on a text file, let it write, and say honestly how good it is.",
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_WHAT, _HOW, _OUT = "What", "How", "Output"

_TRAIN = """
Train a character LSTM on a text file. With no option, the recipe is the course report's (its table 3).

The last tenth of the text is held out: half validates on the way, half is scored once at the end, in bits per
character. Checkpoints are kept in --out: a run that was cut off, at any moment, goes on with the same command, and ends
with the same weights.

--preset names a recipe: report (the default), better (the report's with five parts changed: stateful, windows, dropout,
tied, schedule), or one of them with parts put in or taken out; other options come on top.

[bold]A worked example[/bold]: the report's recipe, the better one, and one row of an ablation:

\b
    gnnkit text train BOOK.txt --out report
    gnnkit text train BOOK.txt --preset better --out better
    gnnkit text train BOOK.txt --preset report+dropout --steps 3000 --out dropout
"""


@app.command(
    help=help_text(_TRAIN),
    short_help="Train a character LSTM on a text file.",
    cls=takes("gnnkit.studies.text.settings:TextSettings"),
)
def train(
    ctx: typer.Context,
    book: Annotated[Path, Argument(help="A text file.", show_default=False)],
    out: Annotated[Path, _set(_OUT, "Folder for the model.")],
    preset: Annotated[str, _set(_WHAT, "report, better, report+PART, better-PART ... (report).")] = "report",
    encoding: Annotated[str, _set(_WHAT, "Of the text file (utf-8).")] = "utf-8",
) -> None:
    from rich.console import Console

    from gnnkit.studies.text.settings import TextSettings
    from gnnkit.studies.text.settings import preset as settings_of
    from gnnkit.studies.text.training import train_text

    settings = TextSettings(**{**settings_of(preset), **ctx.obj})
    row = train_text(book, settings, out, encoding=encoding, console=Console(stderr=True))
    typer.echo(
        f"{row['steps']:,} steps, {row['parameters']:,} parameters, {row['seconds']:.0f} s on {row['hardware']}\n"
        f"training, last {min(500, row['steps'])} steps: accuracy {row['accuracy']:.4f}, {row['nats']:.4f} nats a "
        f"character ({row['nats'] / 0.6931471805599453:.4f} bits)\n"
        f"held out: validation {row['val_bits']:.4f}, test {row['test_bits']:.4f} bits a character\n"
        f"Model: {out}"
    )


_WRITE = """
Let a trained model write, character by character.

--tau multiplies the logits: it is 1 / temperature. 2 is careful, 1 as the model thinks, 0.5 wild. --temperature is the
other way to say it, and --greedy always takes the likeliest character.

A model that was trained on one stream, its state carried (--preset better), first reads the last paragraphs of the text
that it was trained on.

[bold]A worked example[/bold]:

\b
    gnnkit text write better --start "I think the devil" --tau 2 --length 300 --samples 5
"""


@app.command(help=help_text(_WRITE), short_help="Let a trained model write.")
def write(
    directory: Annotated[Path, Argument(metavar="DIR", help="Folder of gnnkit text train.", show_default=False)],
    start: Annotated[str | None, _set(_WHAT, "What it begins with (a random letter for each sample).")] = None,
    length: Annotated[int, _set(_WHAT, "Characters to write (300).")] = 300,
    samples: Annotated[int, _set(_WHAT, "How many texts (1).")] = 1,
    greedy: Annotated[bool, _set(_HOW, "Always the likeliest character.", "--greedy")] = False,
    tau: Annotated[float | None, _set(_HOW, "Factor of the logits, 1 / temperature (1).")] = None,
    temperature: Annotated[float | None, _set(_HOW, "1 / τ (1).")] = None,
    top_k: Annotated[int | None, _set(_HOW, "Draw from so many of the likeliest characters (all).")] = None,
    top_p: Annotated[float | None, _set(_HOW, "Draw from the fewest with this share together (all).")] = None,
    seed: Annotated[int, _set(_HOW, "The same seed, the same text (0).")] = 0,
    replace: Annotated[
        str | None, _set(_WHAT, "A character in place of those in --start that the model does not know (an error).")
    ] = None,
    device: Annotated[str, _set(_HOW, "auto, cpu, cuda, cuda:1, mps (cpu).")] = "cpu",
) -> None:
    if sum((greedy, tau is not None, temperature is not None)) > 1:
        raise ValueError("--greedy, --tau and --temperature say the same thing: give one of them")
    if temperature is not None and not temperature > 0:
        raise ValueError(f"temperature must be a positive number, got {temperature}; for 0 take --greedy")
    if samples < 1:
        raise ValueError(f"samples must be a whole number of at least 1, got {samples}")
    if start == "":
        raise ValueError("start is empty; give at least one character, or leave it out")
    if greedy and start is not None and samples > 1:
        raise ValueError(f"samples: {samples} greedy texts from one start are the same; give --samples 1 or no --start")
    if seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed}")
    from gnnkit.sequence import Sampling
    from gnnkit.studies.text.writer import CharWriter
    from gnnkit.training import resolve_device

    factor = tau if tau is not None else 1.0 if temperature is None else 1 / temperature
    sampling = Sampling(factor, greedy=greedy, top_k=top_k, top_p=top_p)
    writer = CharWriter.load(directory, device=resolve_device(device))
    starts = writer.first_characters(samples, seed=seed, letters=True) if start is None else [start] * samples
    _stream(starts, writer.write(starts, length, sampling, seed=seed, replacement=replace))


def _stream(starts: list[str], columns: Any) -> None:
    """The first sample as it is written; the others, which are written beside it, after it."""
    sys.stdout.write(starts[0])
    texts = list(starts)
    for column in columns:
        sys.stdout.write(column[0])
        sys.stdout.flush()
        texts = [text + character for text, character in zip(texts, column, strict=True)]
    sys.stdout.write("\n")
    for number, text in enumerate(texts[1:], start=2):
        sys.stdout.write(f"\n--- sample {number} ---\n{text}\n")


_STUDY = """
Make the report's tables and figures again for the models of one book or several.

Greedy samples on the way with the period of their loops, five samples a τ, finished sentences, the curves of all models
in one figure, bits per character on held-out text, and copying measured: the longest run that stands word for word in
the book, and the share of sampled 20-character strings that do. Samples begin with any character of the book. --out
gets report.html, report.md, rows.csv, study.json and curves.png.

[bold]A worked example[/bold]:

\b
    gnnkit text study large small --out study
"""


@app.command(help=help_text(_STUDY), short_help="Make the report's tables and figures again, and measure copying.")
def study(
    directories: Annotated[list[Path], Argument(metavar="DIR...", help="Folders of gnnkit text train.")],
    out: Annotated[Path, _set(_OUT, "Folder for the study (gnnkit-text-study).")] = Path("gnnkit-text-study"),
    start: Annotated[list[str] | None, _set(_WHAT, "A sentence to be finished; repeatable (the report's).")] = None,
    samples: Annotated[int, _set(_WHAT, "Samples that the measures are means over (20).")] = 20,
    length: Annotated[int, _set(_WHAT, "Characters of each (500).")] = 500,
    seed: Annotated[int, _set(_HOW, "Of the samples (0).")] = 0,
    device: Annotated[str, _set(_HOW, "auto, cpu, cuda, cuda:1, mps (cpu).")] = "cpu",
) -> None:
    from gnnkit.studies.text.study import study_texts

    study_texts(
        directories,
        out,
        starts=start,
        samples=samples,
        length=length,
        seed=seed,
        device=device,
        on_run=lambda name: typer.echo(f"studying {name}", err=True),
    )
    typer.echo(f"Report: {out / 'report.html'}")
