"""`gnnkit relations`: train a link predictor, score it, and ask it; each verb calls the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from gnnkit.cli.options import help_text, parse_names, parse_options
from gnnkit.kept_files import new_name, write_text

if TYPE_CHECKING:
    from gnnkit.studies.relations.fitted import FittedLinks
    from gnnkit.studies.relations.task import LinkTask

__all__ = ["app", "evaluate", "examples", "predict", "train"]

_PURPOSE = "Typed link prediction: which side effect will two drugs have together?"
app = typer.Typer(help=_PURPOSE, short_help=_PURPOSE, no_args_is_help=True, rich_markup_mode="rich")

_TRAIN = """
Train a model on Decagon's graph, or on a knowledge graph of your own, and keep it in a folder.

Links are split 80/10/10 a relation, both directions of a pair into one part. The weights that validate best within the
budget are kept, with the names, the training links and a calibration of probabilities. A training that was cut off goes
on with the same command; the time before counts.

[bold]A worked example[/bold]: the polypharmacy graph; a knowledge graph (train.txt, valid.txt, test.txt):

\b
    gnnkit relations train --data decagon --minutes 30 --out side-effects
    gnnkit relations train --data umls/ --model complex --out umls-model
    gnnkit relations train --data decagon --model decagon --set encoder_form=authors --out as-published
"""
_PREDICT = """
Rank the side effects of two drugs, or the drugs for a drug and a side effect, with calibrated probabilities.

A probability is that of being on record, for a pair drawn from all that training does not know; `known` marks what
stood in training.

[bold]Two worked examples[/bold]:

\b
    gnnkit relations predict side-effects --first CID000002173 --second CID000003345
    gnnkit relations predict side-effects --first CID000002173 --relation hypermagnesemia --csv partners.csv
"""
_EXAMPLES = """
Write a Markdown page: the relations of some pairs and the partners of some entities, without what stood in training and
with whether each is on record, and how far the probabilities hold.

[bold]A worked example[/bold]:

\b
    gnnkit relations examples side-effects --pair CID000002173,CID000003345 --partner CID000002173,hypermagnesemia
"""


@app.command(help=help_text(_TRAIN), short_help="Train a model and keep it in a folder.")
def train(
    data: Annotated[str, Option(help="decagon, or a folder or file of triples (decagon).")] = "decagon",
    data_root: Annotated[Path | None, Option(help="Folder of Decagon's files (GNNKIT_DATA).")] = None,
    min_pairs: Annotated[int, Option(help="Side effects of fewer drug pairs are left out (500).")] = 500,
    strict: Annotated[bool, Option("--strict", help="Refuse bad rows, which are else counted and left out.")] = False,
    symmetric: Annotated[bool, Option("--symmetric", help="Own triples hold in both directions.")] = False,
    model: Annotated[str, Option(help="best, decagon, or a decoder on free embeddings (best).")] = "best",
    channels: Annotated[int | None, Option(help="Width of an embedding (the model's own).")] = None,
    minutes: Annotated[float, Option(help="Wall-clock budget (10).")] = 10.0,
    epochs: Annotated[int | None, Option(help="Most passes over the links (as many as fit).")] = None,
    learning_rate: Annotated[float | None, Option(help="Of Adam, at the start (the model's own).")] = None,
    loss: Annotated[str | None, Option(help="Of sampled negatives: hinge, cross-entropy, self-adversarial.")] = None,
    negatives: Annotated[str | None, Option(help="auto, all or sampled (auto).")] = None,
    change: Annotated[
        list[str] | None, Option("--set", help="NAME=VALUE in the place of the model's own; repeatable.")
    ] = None,
    seed: Annotated[int, Option(help="Of the split, the weights and the batches (0).")] = 0,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:1, mps (auto).")] = "auto",
    out: Annotated[Path, Option(help="Folder for the fitted model (gnnkit-relations).")] = Path("gnnkit-relations"),
) -> None:
    from gnnkit.studies.relations.fitted import make_fitted
    from gnnkit.studies.relations.settings import recipe
    from gnnkit.studies.relations.task import digest_task
    from gnnkit.studies.relations.training import CODE, train_model
    from gnnkit.training.code import code_digest
    from gnnkit.training.model_folder import check_model_folder, model_folder, model_snapshots

    links = out / "links.safetensors"
    is_model = (out / "config.json").is_file() and (links.is_file() or new_name(links).is_file())
    check_model_folder(out, is_model=is_model)
    given = {
        "channels": channels,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "loss": loss,
        "negatives": negatives,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in (parse_options(change or (), "set", "encoder_form=authors")).items():
        if name in given or name in ("minutes", "seed", "device"):
            raise ValueError(f"set: {name} has an option of its own; write --{name.replace('_', '-')} {value}")
        if name == "leave_out":  # a list in JSON, or names between commas
            value = tuple(parse_names(value) if isinstance(value, str) else value)
        changes[name] = value
    settings = recipe(model, minutes=minutes, seed=seed, device=device, **changes)
    source = {
        "data": data if data == "decagon" else str(Path(data).resolve()),
        "min_pairs": min_pairs,
        "strict": strict,
        "symmetric": symmetric,
        "seed": seed,
    }
    task = _load(source, data_root, say=True)

    def say(seconds: float, step: int, loss: float, scores: dict[str, float]) -> None:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        typer.echo(f"{seconds:6.0f} s  step {step}  loss {loss:.4f}  validation {figures}", err=True)

    digests, training = digest_task(task), settings.as_json()
    snapshots = model_snapshots(out, {"training": training, "task": digests, "code": code_digest(*CODE)})
    with model_folder(out, snapshots, is_model=is_model):
        fitted_model, fit = train_model(task, settings, on_scores=say, snapshots=snapshots)
        fitted = make_fitted(fitted_model, task, settings)
        fitted.save(out, {"source": source, **digests, "training": training})
    typer.echo(f"{fit.steps} steps in {fit.seconds:.0f} s, {fit.peak_memory_mb:.0f} MB; the model is in {out}")


@app.command(help="Score a fitted model on its test links, beside a popularity baseline, and by relation.")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="What `gnnkit relations train` wrote.")],
    data_root: Annotated[Path | None, Option(help="Folder of Decagon's files (GNNKIT_DATA).")] = None,
    worst: Annotated[int, Option(help="Relations shown at either end (5).")] = 5,
    csv: Annotated[Path | None, Option(help="Where to write the scores by relation.")] = None,
) -> None:
    from gnnkit.studies.relations.study import popularity_scorer, score_row
    from gnnkit.studies.relations.task import METRICS, rank_entities
    from gnnkit.studies.relations.training import scorer

    fitted, task = _load_fitted(folder, data_root)
    row, table = score_row(task, scorer(fitted.model))
    rows = {"model": row}
    for label, by_effect in (("popularity", False), ("popularity by relation", True)):
        rows[label] = score_row(task, popularity_scorer(task, by_effect=by_effect))[0]
    typer.echo(f"{'':24}" + "".join(f"{name:>20}" for name in METRICS) + "   mean (median) over relations")
    for negatives, prefix in (("random negatives", ""), ("negatives that keep degrees", "hard_")):
        typer.echo(negatives)
        for label, scores in rows.items():
            cells = [f"{scores[f'{prefix}{m}_mean']:.4f} ({scores[f'{prefix}{m}_median']:.4f})" for m in METRICS]
            typer.echo(f"  {label:22}" + "".join(f"{cell:>20}" for cell in cells))
    if not task.triples.symmetric:
        z = fitted.model.encode()
        ranks = rank_entities(task, lambda head, relation: fitted.model.score_tails(head, relation, z))
        typer.echo("filtered ranks of tails: " + "  ".join(f"{name} {value:.4g}" for name, value in ranks.items()))
    ordered = table.dropna(subset=["auprc"]).sort_values("auprc", ascending=False)
    for label, part in (("best", ordered.head(worst)), ("worst", ordered.tail(worst))):
        typer.echo(f"{label} by AUPRC")
        typer.echo(_table(part[["title", "links", *METRICS]]))
    if csv is not None:
        write_text(csv, table.to_csv(index=False, float_format="%.6g"))
        typer.echo(f"Scores by relation: {csv}")


@app.command(help=help_text(_PREDICT), short_help="Rank relations of a pair, or partners under a relation.")
def predict(
    folder: Annotated[Path, typer.Argument(help="What `gnnkit relations train` wrote.")],
    first: Annotated[str, Option(help="An entity, e.g. a drug; the head where links have a direction.")],
    second: Annotated[str | None, Option(help="Another one, to rank relations.")] = None,
    relation: Annotated[str | None, Option(help="A relation's name or title, to rank partners.")] = None,
    top: Annotated[int, Option(help="Rows shown (20).")] = 20,
    new: Annotated[bool, Option("--new", help="Leave out what stood in training.")] = False,
    csv: Annotated[Path | None, Option(help="Where to write all rows.")] = None,
) -> None:
    from gnnkit.studies.relations.fitted import load_fitted, rank_partners, rank_relations

    if (second is None) == (relation is None):
        raise ValueError("predict: give either --second (ranks relations of the pair) or --relation (ranks partners)")
    if top < 1:
        raise ValueError(f"top: {top} rows; give at least 1")
    fitted, _ = load_fitted(folder)
    if second is not None:
        table = rank_relations(fitted, first, second)
    else:
        assert relation is not None
        table = rank_partners(fitted, first, relation)
    if new:
        table = table[~table["known"]].reset_index(drop=True)
    typer.echo(_table(table.head(top)))
    if csv is not None:
        write_text(csv, table.to_csv(index=False, float_format="%.6g"))
        typer.echo(f"All {len(table)} rows: {csv}")


@app.command(help=help_text(_EXAMPLES), short_help="Write a page of answers, and how far the probabilities hold.")
def examples(
    folder: Annotated[Path, typer.Argument(help="What `gnnkit relations train` wrote.")],
    pair: Annotated[list[str] | None, Option(help="FIRST,SECOND: relations of this pair; repeatable.")] = None,
    partner: Annotated[list[str] | None, Option(help="ENTITY,RELATION: partners under it; repeatable.")] = None,
    top: Annotated[int, Option(help="Answers shown of each (10).")] = 10,
    data_root: Annotated[Path | None, Option(help="Folder of Decagon's files (GNNKIT_DATA).")] = None,
    out: Annotated[Path, Option(help="The Markdown file (examples.md).")] = Path("examples.md"),
) -> None:
    from gnnkit.studies.relations.examples import write_examples

    asked = [
        [_two(option, text) for text in given or ()] for option, given in (("--pair", pair), ("--partner", partner))
    ]
    fitted, task = _load_fitted(folder, data_root)
    write_examples(fitted, task, out, pairs=asked[0], partners=asked[1], names={}, top=top)
    typer.echo(f"Page: {out}")


def _two(option: str, text: str) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    if not (first and comma and second):
        raise ValueError(f"{option}: {text!r} is not two names with a comma between them")
    return first, second


def _load_fitted(folder: Path, root: Path | None) -> tuple[FittedLinks, LinkTask]:
    """A fitted model and the links that it was trained on."""
    from gnnkit.studies.relations.fitted import load_fitted
    from gnnkit.studies.relations.task import digest_task

    fitted, extra = load_fitted(folder)
    task = _load(extra["source"], root)
    # A model of an earlier gnnkit has the links' digest alone.
    other = [part for part, digest in digest_task(task).items() if extra.get(part, digest) != digest]
    if other:
        raise ValueError(
            f"{folder}: the model was trained on other {' and '.join(other)} than are there now; train it again, or "
            "give the files that it was trained on"
        )
    return fitted, task


def _load(source: dict[str, Any], root: Path | None, *, say: bool = False) -> LinkTask:
    from gnnkit.data import load_decagon, load_triples
    from gnnkit.studies.relations.task import make_task

    strict, seed = source["strict"], source["seed"]
    if source["data"] == "decagon":
        data = load_decagon(root, min_pairs=source["min_pairs"], strict=strict)
        left_out = {f"{why} in {name}": n for name, counts in data.left_out.items() for why, n in counts.items() if n}
    else:
        data = load_triples(source["data"], symmetric=source["symmetric"], strict=strict, seed=seed)
        left_out = {why: count for why, count in data.left_out.items() if count}
    task = make_task(data, seed=seed)
    if say:
        triples = task.triples
        sizes = {"entities": triples.num_entities, "relations": triples.num_relations, "links": triples.triples.size(1)}
        typer.echo(", ".join(f"{count} {what}" for what, count in sizes.items()), err=True)
        typer.echo(f"rows left out: {json.dumps(left_out) if left_out else 'none'}", err=True)
        there = set(task.split.train[1].tolist())
        if empty := [name for i, name in enumerate(triples.relations) if i not in there]:
            some = ", ".join(map(repr, empty[:3]))
            typer.echo(f"relations without training links, of which nothing is learnt: {len(empty)} ({some})", err=True)
    return task


def _table(rows: Any) -> str:
    return rows.to_string(index=False, float_format=lambda value: f"{value:.4f}")
