"""The folder of a comparison: checked before anything is trained, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnnkit.compare.report.html import write_report
from gnnkit.compare.report.latex import write_latex
from gnnkit.compare.report.markdown import write_markdown
from gnnkit.compare.report.paired_tests import write_tests
from gnnkit.compare.results import Results
from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
from gnnkit.forecasting.kept_code import check_no_code
from gnnkit.kept_files import (
    LOCK,
    check_folder,
    check_own_files,
    half_written,
    json_of,
    locked_folder,
    new_name,
    part_of,
    write_json,
)
from gnnkit.settings.judging import ForecastFields

__all__ = [
    "check_folder",
    "check_kept",
    "check_output",
    "keep_spec",
    "kept_forecasts",
    "kept_spec",
    "kept_threads",
    "write_output",
]

OUTPUT_FILES = ("rows.csv", "rows.parquet", "tests.csv", "report.html", "report.md", "tables.tex", "results.json")
_KEPT = ("spec.json", "jobs", "track")
"""What a run that is not over has: what it goes on from, and what its tracker wrote."""
_GROWING = ("models", "seeds", "train_shares", "hidden_shares", "ablate_graph")
"""What may get more entries while a run is not over: all that is there stays part of it."""
_SAME_DATA = ("data_root", "series", "graph")
"""Where the data lie; whether they are the same is told by their SHA-256."""


def check_output(directory: str | Path) -> Path:
    """Refuse a folder that results must not be written to.

    Args:
        directory: a folder that is missing, empty, or holds the results of an earlier comparison and nothing else.

    Returns:
        The folder.

    Raises:
        ValueError: it is a file, holds something else, or cannot be written.
    """
    directory = check_folder(directory)
    waiting = [new_name(Path(name)).name for name in OUTPUT_FILES]
    check_own_files(directory, (*OUTPUT_FILES, *waiting, *_KEPT))
    if directory.is_dir() and not _is_result(directory):
        there = {path.name for path in directory.iterdir() if path.name != LOCK and not half_written(path)}
        # A run that was cut off before it had written what it is keeps nothing that could be lost.
        if there - {"jobs", "track"} or any((directory / "jobs").glob("*.safetensors")):
            raise ValueError(f"out: {directory} is not empty and not a former result; give a new or an empty folder")
    return directory


def write_output(results: Results, directory: str | Path) -> Path:
    """Write rows, tests, `results.json` and the reports; earlier results in the folder are replaced.

    All files are made in a folder inside it first, so that an error on the way leaves the folder as it was, and
    `results.json` makes those that it belongs to count: cut off at any moment, the former results or these are there.

    Args:
        results: what to write.
        directory: the folder; made when it is missing.

    Returns:
        The path of the report.

    Raises:
        ValueError: see `check_output`; or another run writes to it.
    """
    directory = check_output(directory)
    is_new = not directory.exists()
    try:
        with locked_folder(directory):
            work = part_of(directory / "output")
            work.mkdir()
            try:
                results.save(work)
                write_tests(results, work / "tests.csv")
                write_report(results, work / "report.html")
                write_markdown(results, work / "report.md")
                write_latex(results, work / "tables.tex")
                # File by file: the folder itself may be a mount point or somebody's working directory.
                *others, last = OUTPUT_FILES
                for name in others:
                    os.replace(work / name, new_name(directory / name))
                os.replace(work / last, directory / last)
                for name in others:
                    os.replace(new_name(directory / name), directory / name)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except BaseException:
        if is_new and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        raise
    return directory / "report.html"


def keep_spec(
    spec: ComparisonSpec, directory: str | Path, *, data_hash: str, forecasts: Mapping[str, str] | None = None
) -> None:
    """Write `spec.json`, from which a run that was cut off can go on.

    Args:
        spec: what was asked for, with the threads of a fit.
        directory: the folder; made when it is missing.
        data_hash: of the data.
        forecasts: SHA-256 of the forecasts made elsewhere, by name; none by default.

    Raises:
        ValueError: a run was begun there that this one would not go on with; see `check_kept`.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    check_kept(spec, directory, data_hash=data_hash)
    paths = {name: getattr(spec, name) for name in ("data_root", "series", "graph")}
    # Absolute: a run may go on from another working directory.
    absolute: dict[str, Any] = {name: path and path.absolute() for name, path in paths.items()}
    for name in ("forecasts", "validation_forecasts"):
        absolute[name] = {key: path.absolute() for key, path in getattr(spec, name).items()}
    spec = spec.model_copy(update=absolute)
    document = {"gnnkit_spec": True, "data_hash": data_hash, "spec": spec.to_json()}
    if forecasts:
        document["forecasts"] = dict(forecasts)
    write_json(directory / "spec.json", document)


def check_kept(spec: ComparisonSpec, directory: str | Path, *, data_hash: str) -> None:
    """Refuse a folder with finished fits of another run that is not over: it could not go on any more.

    The number of threads may differ, and so may forecasts made elsewhere, on which no fit depends. Models, seeds,
    shares and ablations may be added, as everything that is finished stays part of the run. A folder with results, or
    without a finished fit, loses nothing.

    Args:
        spec: what is asked for now.
        directory: the folder.
        data_hash: of the data.

    Raises:
        ValueError: the run there is not over, and has other data or another spec; the message names what differs.
    """
    directory = Path(directory)
    kept = _kept(directory)
    finished = any((directory / "jobs").glob("*.safetensors"))
    if kept is None or not finished or (directory / "results.json").is_file():
        return
    if kept["data_hash"] != data_hash:
        raise ValueError(
            f"{directory} was begun on other data (SHA-256 {kept['data_hash'][:12]}…, now {data_hash[:12]}…); "
            f"give the same data, or another folder"
        )
    here = json.loads(json.dumps(spec.to_json()))
    there = {**json.loads(json.dumps(ComparisonSpec().to_json())), **kept["spec"]}
    different = [name for name in sorted({*here, *there}) if not _goes_on(name, there, here)]
    if different:
        name = different[0]
        more = f", and {', '.join(different[1:])} too" if len(different) > 1 else ""
        raise ValueError(
            f"{directory} holds a run that is not over, of another spec ({name} is {json.dumps(there.get(name))} "
            f"there, and {json.dumps(here.get(name))} now{more}); finish it (--resume {directory}), or give another "
            f"folder"
        )


def _goes_on(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether a run that is not over may go on with another value of one of its settings."""
    if there.get(name) == here.get(name) or name == "threads" or name in (*_SAME_DATA, *ForecastFields.model_fields):
        return True
    if name not in ("settings", *_GROWING):
        return False
    before, now = there[name], here[name]
    if name == "settings":  # of a model that is added there is nothing yet
        return all(before.get(model) == now.get(model) for model in there["models"])
    # Trials are run with the first seed, and parameters are those of the first model where none are given.
    leads = {"trials": "seeds", "parameters": "models"}.get(here["budget"]) == name
    return set(before) <= set(now) and not (leads and before[0] != now[0])


def kept_spec(directory: str | Path, *, trust_code: bool = False) -> ComparisonSpec:
    """The spec of the run that a folder is from: what `gnnkit compare --resume DIR` goes on with.

    Args:
        directory: the folder.
        trust_code: run the code that it names, of models or a data set of one's own. What this process has imported
            already runs without it. Default False: a folder from elsewhere can name any file.

    Raises:
        FileNotFoundError: the folder has no `spec.json`.
        ValueError: it is not one of gnnkit's, names what is not there any more, or code that was not run yet, without
            `trust_code`.
    """
    directory = Path(directory)
    if not (directory / "spec.json").is_file():
        raise FileNotFoundError(f"{directory} holds no spec.json: no `gnnkit compare` was begun there")
    kept = _kept(directory)
    if kept is None:
        raise ValueError(f"{directory / 'spec.json'} was not written by `gnnkit compare`; give one of its folders")
    if not trust_code and isinstance(kept["spec"], dict):
        models = kept["spec"].get("models")
        check_no_code(directory, models if isinstance(models, list) else [], kept["spec"].get("data"))
    before = {"folds": 1, "rivals": False}  # what a run had when there was neither setting
    return make_spec(**{**before, **kept["spec"]})


def kept_threads(directory: str | Path) -> int | None:
    """The threads of a fit in the run that a folder is from; None where there is none."""
    kept = _kept(Path(directory))
    return kept["spec"]["threads"] if kept else None


def kept_forecasts(directory: str | Path) -> dict[str, str]:
    """SHA-256 of the forecasts made elsewhere in the run that a folder is from, by name; empty where there are none."""
    kept = _kept(Path(directory))
    return dict(kept.get("forecasts", {})) if kept else {}


def _kept(directory: Path) -> dict[str, Any] | None:
    try:
        document = json_of((directory / "spec.json").read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("gnnkit_spec") is True else None


def _is_result(directory: Path) -> bool:
    if _kept(directory):
        return True
    try:
        document = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("gnnkit_results") is True
