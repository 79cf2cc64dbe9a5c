"""A fitted forecaster as a folder: weights in safetensors, configuration in JSON. Nothing is pickled."""

import copy
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from gnnkit import __version__
from gnnkit.kept_files import current_file, new_name, read_json, replace_file, sha256_of, write_json
from gnnkit.kept_tensors import named_no_room

__all__ = ["kept_beside", "load_checkpoint", "save_checkpoint"]

FORMAT = 1
_WEIGHTS, _CONFIG = "weights.safetensors", "config.json"
_WAY_OUT = "save it again"


def save_checkpoint(
    directory: str | Path,
    forecaster: nn.Module,
    config: Mapping[str, Any],
    beside: Mapping[str, Callable[[Path], None]] | None = None,
) -> None:
    """Write `weights.safetensors` and `config.json` into `directory`, which is made when it is missing.

    At any moment the folder holds the checkpoint before or this one, whole: new files wait under another name
    (`.new`), and `config.json`, which has their checksums, makes them those that count.

    Args:
        directory: the folder.
        forecaster: a module; its parameters and persistent buffers are kept.
        config: the arguments that build an untrained copy, as JSON values.
        beside: further files or folders that belong to it, by their names, and what writes each to a path;
            `kept_beside` finds them again.

    Raises:
        TypeError: `config` holds something that JSON cannot.

    Example:
        >>> import tempfile, torch
        >>> layer = nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(folder, layer, {"in_features": 2, "out_features": 1})
        ...     again, config = load_checkpoint(folder, nn.Linear)
        >>> torch.equal(again.weight, layer.weight), config
        (True, {'in_features': 2, 'out_features': 1})
    """
    directory = Path(directory)
    text = json.dumps(dict(config))  # before anything is written: a bad config leaves no folder behind
    directory.mkdir(parents=True, exist_ok=True)
    apart = copy.deepcopy(forecaster)
    for parameter in apart.parameters():  # cuDNN lays an RNN's weights into one buffer, which safetensors refuses
        parameter.data = parameter.data.clone()
    with replace_file(new_name(directory / _WEIGHTS)) as part, named_no_room(directory / _WEIGHTS):
        save_model(apart, str(part))
    for name, write in (beside or {}).items():
        _remove(new_name(directory / name))
        write(new_name(directory / name))
    digests = {name: sha256_of(new_name(directory / name)) for name in (_WEIGHTS, *(beside or ()))}
    document = {"format": FORMAT, "gnnkit": __version__, "weights_sha256": digests[_WEIGHTS]}
    document |= {"beside": {name: digests[name] for name in beside or ()}, "config": json.loads(text)}
    write_json(directory / _CONFIG, document)
    for name in digests:
        if (directory / name).is_dir():
            _remove(directory / name)
        os.replace(new_name(directory / name), directory / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def load_checkpoint(directory: str | Path, build: Callable[..., nn.Module]) -> tuple[nn.Module, dict[str, Any]]:
    """Build a forecaster anew and give it the saved weights.

    Args:
        directory: what `save_checkpoint` wrote.
        build: called with the saved configuration as keyword arguments, e.g. `gnnkit.temporal.build_forecaster`.

    Returns:
        The forecaster, in evaluation mode on the CPU, and its configuration.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files do not belong together, are damaged or of a later layout, or do not fit what `build`
            gives.
    """
    directory = Path(directory)
    document = _document(directory)
    weights = current_file(directory / _WEIGHTS, document["weights_sha256"], _WAY_OUT)
    forecaster = build(**document["config"])
    try:
        load_model(forecaster, str(weights))
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"the weights in {directory} do not fit the forecaster that was built: {reason}") from error
    return forecaster.eval(), document["config"]


def kept_beside(directory: str | Path, name: str) -> Path:
    """Where a file or a folder is that was saved beside a checkpoint.

    Args:
        directory: what `save_checkpoint` wrote.
        name: of the file or folder.

    Returns:
        Its path; what is there is what was written.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: it is damaged, or not that of the checkpoint.
    """
    directory = Path(directory)
    digest = _document(directory)["beside"].get(name)
    if digest is None:
        raise FileNotFoundError(f"{directory} has no {name}: it is another kind of model, or of an earlier gnnkit")
    return current_file(directory / name, digest, _WAY_OUT)


def _document(directory: Path) -> dict[str, Any]:
    """What `config.json` holds, its layout checked."""
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory}: there is no such folder")
    for name in (_CONFIG, _WEIGHTS):
        if not any(path.is_file() for path in (directory / name, new_name(directory / name))):
            raise FileNotFoundError(f"{directory} holds no {name}: it is not a checkpoint of gnnkit")
    document = {"format": 0, "beside": {}, **read_json(directory / _CONFIG, dict)}
    kinds = {"format": int, "beside": dict, "weights_sha256": str, "config": dict}
    if wrong := [name for name, kind in kinds.items() if not isinstance(document.get(name), kind)]:
        raise ValueError(f"{directory / _CONFIG} is not one of gnnkit's, or is damaged: it has no {wrong[0]}")
    if document["format"] > FORMAT:
        raise ValueError(
            f"{directory / _CONFIG} has layout {document['format']}, this gnnkit reads up to {FORMAT}: update gnnkit"
        )
    return document
