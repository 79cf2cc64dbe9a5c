"""Does the graph help on Decagon's task? Models, baselines and ablations on one split, run by run, as rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student
from torch import Tensor

import gnnkit
from gnnkit.data import DecagonData, LoadedTriples
from gnnkit.kept_files import claim_folder, read_json, write_json, write_text
from gnnkit.ranking import bootstrap_interval
from gnnkit.relational import Decagon
from gnnkit.relational.model import log_popularity
from gnnkit.studies.relations.fitted import make_fitted
from gnnkit.studies.relations.settings import RelationsSettings, recipe
from gnnkit.studies.relations.task import (
    METRICS,
    LinkTask,
    digest_task,
    make_task,
    rank_entities,
    score_relations,
    summarise,
)
from gnnkit.studies.relations.training import CODE, scorer, train_model
from gnnkit.training import Snapshots, resolve_device
from gnnkit.training.code import code_digest
from gnnkit.training.environment import environment

__all__ = ["BASELINES", "PUBLISHED", "RUNS", "Run", "compare_runs", "popularity_scorer", "run_study", "score_row"]

#: Means over side effects in the paper; training "to the published scores" ends when validation has all of them.
PUBLISHED = {"auroc": 0.872, "auprc": 0.832, "ap50": 0.803}

#: Runs that need no training: how often drugs occur, in all and under the side effect.
BASELINES = ("popularity", "popularity-by-effect")


@dataclass(frozen=True)
class Run:
    """A recipe's name and what is changed in it."""

    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)

    def settings(self, **more: Any) -> RelationsSettings:
        return recipe(self.recipe, **{**self.changes, **more})


#: Name -> run. The ablations change one thing in the full model, `decagon`.
RUNS: dict[str, Run] = {
    "decagon": Run("decagon"),
    "best": Run("best"),
    "no-proteins": Run("decagon", {"leave_out": ("proteins",)}),
    "no-targets": Run("decagon", {"leave_out": ("targets",)}),
    "no-single-effects": Run("decagon", {"leave_out": ("single-effects",)}),
    "drug-pairs-alone": Run("decagon", {"leave_out": ("proteins", "targets", "single-effects")}),
    "no-graph": Run("decagon", {"encoder": False}),
    "authors-encoder": Run("decagon", {"encoder_form": "authors"}),
    **{f"decagon-{name}": Run("decagon", {"decoder": name}) for name in ("distmult", "complex", "simple", "rescal")},
    **{name: Run(name) for name in ("dedicom", "rescal", "distmult", "complex", "simple")},
    "best-no-popularity": Run("best", {"popularity": False}),
    "best-no-cooccurrence": Run("best", {"cooccurrence": False}),
    "best-with-graph": Run("best", {"encoder": True, "relations_per_step": 64}),
}


def popularity_scorer(task: LinkTask, *, by_effect: bool) -> Callable[[Tensor], Tensor]:
    """Scores from counts of training links alone: how often both ends occur.

    Args:
        task: The task.
        by_effect: Under the link's relation (with the counts in all where there are few); else in all.
    """
    triples, train = task.triples, task.split.train
    count = triples.num_relations if by_effect else 1
    links = train if by_effect else torch.stack([train[0], torch.zeros_like(train[1]), train[2]])
    heads = log_popularity(links, triples.num_entities, count, triples.symmetric, end=0)
    tails = heads if triples.symmetric else log_popularity(links, triples.num_entities, count, False, end=2)

    def score(asked: Tensor) -> Tensor:
        head, relation, tail = asked
        relation = relation if by_effect else torch.zeros_like(relation)
        return heads[relation, head] + tails[relation, tail]

    return score


def score_row(task: LinkTask, score: Callable[[Tensor], Tensor]) -> tuple[dict[str, float], pd.DataFrame]:
    """Test scores as columns of a row, `hard_` before those against hard negatives; and the table by relation."""
    table = score_relations(task, score, "random")
    hard = score_relations(task, score, "hard")
    joined = table.merge(hard[["relation", *METRICS]], on="relation", suffixes=("", "_hard"))
    return {**summarise(table), **summarise(hard, "hard_")}, joined


def run_study(
    data: DecagonData | LoadedTriples,
    out: str | Path,
    *,
    runs: Sequence[str],
    minutes: float = 10.0,
    seeds: Sequence[int] = (0,),
    threads: int | None = None,
    device: str = "auto",
    changes: dict[str, Any] | None = None,
    keep: Sequence[str] = (),
    source: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Train and score every run that is not there yet; all share one split and its negatives.

    A finished run is kept as `runs/NAME-MINUTESmin-seedSEED.json`, beside its table by relation, so the same command
    goes on where it was cut off; a fitted model as `models/NAME-MINUTESmin-seedSEED`, for `gnnkit relations predict`.

    Args:
        data: The graph.
        out: Folder; gets `rows.csv` (a row a run) and `runs/`.
        runs: Names of `RUNS` and `BASELINES`.
        minutes: Wall-clock budget of each run's training. Default 10.
        seeds: Of weights and batches; the split is that of seed 0 always. Default 0.
        threads: Of torch; None (default): as they are.
        device: Default `"auto"`.
        changes: Settings that are changed in all runs, e.g. `{"validations": 20}`.
        keep: Names of runs whose fitted models are kept. Default none.
        source: What a kept model's folder says of its data, so that `gnnkit relations evaluate` finds them.
        say: Told a line about every validation.

    Returns:
        The rows of all runs in the folder.

    Raises:
        FloatingPointError: A loss is not finite; names the run and the step.
        ValueError: An unknown run, `out` is a file, or holds runs on other data, of another version or with other
            settings, which are named.
    """
    unknown = [name for name in runs if name not in RUNS and name not in BASELINES]
    if unknown or not runs:
        raise ValueError(f"runs: {unknown[:1] or 'none'} unknown; choose of {', '.join([*BASELINES, *RUNS])}")
    resolve_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    task = make_task(data)
    out = Path(out)
    made_from = {"data": task.name, **digest_task(task), "gnnkit": gnnkit.__version__}
    with claim_folder(out, "data.json", made_from, "runs", finished=lambda: any((out / "runs").glob("*.json"))):
        (out / "runs").mkdir(exist_ok=True)
        for name in runs:
            for seed in (0,) if name in BASELINES else seeds:
                stem, settings = name, None
                if name not in BASELINES:
                    stem = f"{name}-{minutes:g}min-seed{seed}"
                    fixed = {"minutes": minutes, "seed": seed, "device": device}
                    settings = RUNS[name].settings(**{**(changes or {}), **fixed})
                file = out / "runs" / f"{stem}.json"
                if file.exists():
                    _check_settings(file, settings)
                    Snapshots(file.with_suffix(".snapshot"), {}).remove()  # cut off behind its last word
                    say(f"{stem}: done before")
                    continue
                asked = None if settings is None else settings.as_json()
                depends = {**made_from, "settings": asked, "code": code_digest(*CODE)}
                snapshots = Snapshots(file.with_suffix(".snapshot"), depends, anew=True)
                extra = {"source": source, **digest_task(task)} if name in keep else None
                try:
                    row, table, history = _one(
                        task,
                        name,
                        settings,
                        lambda line, stem=stem: say(f"{stem}: {line}"),
                        out / "models" / stem,
                        extra,
                        snapshots,
                    )
                except FloatingPointError as error:
                    raise FloatingPointError(f"{stem}: {error}") from None
                write_text(file.with_suffix(".relations.csv"), table.to_csv(index=False, float_format="%.6g"))
                write_json(file, {"row": row, "history": history}, indent=1)
                snapshots.remove()
                say(f"{stem}: median AUROC {row['auroc_median']:.4f}, AUPRC {row['auprc_median']:.4f}")
        files = sorted((out / "runs").glob("*.json"))
        rows = pd.DataFrame([read_json(file)["row"] for file in files])
        write_text(out / "rows.csv", rows.to_csv(index=False, float_format="%.6g"))
    return rows


def _one(
    task: LinkTask,
    name: str,
    settings: RelationsSettings | None,
    say: Callable[[str], None],
    folder: Path,
    extra: dict[str, Any] | None,
    snapshots: Snapshots,
) -> tuple[dict[str, Any], pd.DataFrame, list[dict[str, float]]]:
    triples = task.triples
    row: dict[str, Any] = {
        "data": task.name,
        "data_hash": triples.digest()[:16],
        "entities": triples.num_entities,
        "relations": triples.num_relations,
        "links": triples.triples.size(1),
        "run": name,
    }
    if settings is None:
        start = time.perf_counter()
        scores, table = score_row(task, popularity_scorer(task, by_effect=name == "popularity-by-effect"))
        return {**row, **scores, "seconds": time.perf_counter() - start, **environment()}, table, []
    model, fit = train_model(
        task,
        settings,
        snapshots=snapshots,
        on_scores=lambda seconds, step, loss, found: say(
            f"{seconds:.0f} s, step {step}, loss {loss:.4f}, "
            + ", ".join(f"{metric} {value:.4f}" for metric, value in found.items())
        ),
    )
    scores, table = score_row(task, scorer(model))
    ranked = {} if triples.symmetric else _ranked(task, model)
    if extra is not None:
        make_fitted(model, task, settings).save(folder, {**extra, "training": settings.as_json()})
    row |= {
        "minutes": settings.minutes,
        "most_epochs": settings.epochs,
        "seed": settings.seed,
        **scores,
        **ranked,
        "seconds": fit.seconds,
        "seconds_to_published": fit.seconds_to(**PUBLISHED) if triples.symmetric else float("nan"),
        "steps": fit.steps,
        "epochs": fit.epochs,
        "peak_memory_mb": fit.peak_memory_mb,
        "parameters": sum(p.numel() for p in model.parameters()),
        "unpaired_hard_negatives": task.unpaired,
        "settings": json.dumps(settings.as_json()),
        **environment(resolve_device(settings.device)),
    }
    return row, table, fit.history


def _ranked(task: LinkTask, model: Decagon) -> dict[str, Any]:
    with torch.no_grad():
        z = model.encode()
        return rank_entities(task, lambda head, r: model.score_tails(head.to(z.device), r.to(z.device), z))


def compare_runs(
    out: str | Path, first: str | Sequence[str], second: str | Sequence[str], metric: str = "auprc"
) -> dict[str, float]:
    """Mean difference of two runs over relations, first less second, with its 95% interval: does the graph help?

    Each run's scores are means over its fits. With several fits of each run the interval holds the noise between fits
    beside that between relations:

        difference ± t(df) sqrt(var_r(d_r) / R + var_s(a_s) / S_a + var_s(b_s) / S_b)

    d_r is the difference under relation r, a_s and b_s the means over relations of each fit, and df the degrees of
    freedom by Welch and Satterthwaite. With one fit of a run its noise is not known, and not in the interval: that is a
    bootstrap over relations alone. What is not trained, a baseline, has none.

    Args:
        out: Folder of `run_study`.
        first: Stem of a run's files, e.g. `decagon-10min-seed0`; or those of its several fits, each from a seed.
        second: Stem or stems of another.
        metric: A column of their tables by relation; default `"auprc"`.

    Returns:
        `difference`, `low`, `high`, and `better`: the share of relations in which the first is better; `seeds` and
        `other_seeds`: fits of each, 0 of a baseline.

    Raises:
        FileNotFoundError: A run is not there.
        ValueError: No stem is given, or there is no relation that both have a score of.

    Source:
        Welch, "The generalization of Student's problem when several different population variances are involved"
        (1947); Satterthwaite, "An approximate distribution of estimates of variance components" (1946).
    """
    sides = []
    for stems in (first, second):
        stems = [stems] if isinstance(stems, str) else list(stems)
        if not stems:
            raise ValueError("compare_runs: no stem is given; give one a fit")
        for path in (paths := [Path(out) / "runs" / f"{stem}.relations.csv" for stem in stems]):
            if not path.is_file():
                raise FileNotFoundError(f"{path} is not there; run_study makes it")
        tables = [pd.read_csv(path).set_index("relation")[metric] for path in paths]
        sides.append((pd.concat(tables, axis=1), 0 if stems[0] in BASELINES else len(stems)))
    (a, fits_a), (b, fits_b) = sides
    known = (a.notna().all(axis=1) & b.notna().all(axis=1)).reindex(a.index)
    a, b = a[known].to_numpy(), b.reindex(a.index)[known].to_numpy()  # relations, fits
    difference = a.mean(axis=1) - b.mean(axis=1)
    if not difference.size:
        raise ValueError(f"{metric} of {first} and {second} has no relation in common; nothing can be compared")
    if 1 in (fits_a, fits_b):
        low, high = bootstrap_interval(difference)
    else:
        low, high = _mixed_interval(difference, [x.mean(axis=0) for x, fits in ((a, fits_a), (b, fits_b)) if fits])
    return {
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "better": float(np.mean(difference > 0)),
        "seeds": fits_a,
        "other_seeds": fits_b,
    }


def _check_settings(file: Path, settings: RelationsSettings | None) -> None:
    """Refuse a finished run of the same name that was trained with other settings; the device may be another."""
    if settings is None:
        return
    there, here = json.loads(read_json(file)["row"]["settings"]), settings.as_json()
    other = [
        f"{name} is {there.get(name)!r} there, and {value!r} now"
        for name, value in here.items()
        if name != "device" and there.get(name) != value
    ]
    if other:
        raise ValueError(f"out: {file} is a run with other settings ({'; '.join(other)}); give another folder")


def _mixed_interval(difference: np.ndarray, fits: list[np.ndarray]) -> tuple[float, float]:
    """95% interval of a mean over relations, with the noise between fits: see `compare_runs`."""
    several = [values for values in (difference, *fits) if len(values) > 1]  # one relation has no noise between them
    parts = [values.var(ddof=1) / len(values) for values in several]
    freedom = [len(values) - 1 for values in several]
    total = sum(parts)
    below = sum(part**2 / df for part, df in zip(parts, freedom, strict=True))
    half = float(student.ppf(0.975, total**2 / below) * np.sqrt(total)) if below > 0 else 0.0
    return float(difference.mean()) - half, float(difference.mean()) + half
