"""A fitted forecaster as a folder: weights in safetensors, configuration in JSON. Nothing is pickled."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from gnnkit import __version__
from gnnkit.kept_files import replace_file, write_json

__all__ = ["load_checkpoint", "save_checkpoint"]

FORMAT = 1
_WEIGHTS, _CONFIG = "weights.safetensors", "config.json"


def save_checkpoint(directory: str | Path, forecaster: nn.Module, config: Mapping[str, Any]) -> None:
    """Write `weights.safetensors` and `config.json` into `directory`, which is made when it is missing.

    Args:
        directory: the folder.
        forecaster: a module; its parameters and persistent buffers are kept.
        config: the arguments that build an untrained copy, as JSON values.

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
    weights = directory / _WEIGHTS
    apart = copy.deepcopy(forecaster)
    for parameter in apart.parameters():  # cuDNN lays an RNN's weights into one buffer, which safetensors refuses
        parameter.data = parameter.data.clone()
    with replace_file(weights) as part:
        save_model(apart, str(part))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    document = {"format": FORMAT, "gnnkit": __version__, "weights_sha256": digest, "config": json.loads(text)}
    write_json(directory / _CONFIG, document)


def load_checkpoint(directory: str | Path, build: Callable[..., nn.Module]) -> tuple[nn.Module, dict[str, Any]]:
    """Build a forecaster anew and give it the saved weights.

    Args:
        directory: what `save_checkpoint` wrote.
        build: called with the saved configuration as keyword arguments, e.g. `gnnkit.temporal.build_forecaster`.

    Returns:
        The forecaster, in evaluation mode on the CPU, and its configuration.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files do not belong together, are of a later layout, or do not fit what `build` gives.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory}: there is no such folder")
    for name in (_CONFIG, _WEIGHTS):
        if not (directory / name).is_file():
            raise FileNotFoundError(f"{directory} holds no {name}: it is not a checkpoint of gnnkit")
    document = json.loads((directory / _CONFIG).read_text(encoding="utf-8"))
    if document.get("format", 0) > FORMAT:
        raise ValueError(
            f"{directory / _CONFIG} has layout {document['format']}, this gnnkit reads up to {FORMAT}: update gnnkit"
        )
    if hashlib.sha256((directory / _WEIGHTS).read_bytes()).hexdigest() != document["weights_sha256"]:
        raise ValueError(f"{directory / _WEIGHTS} is not the file that {_CONFIG} was written for; save it again")
    forecaster = build(**document["config"])
    try:
        load_model(forecaster, str(directory / _WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"the weights in {directory} do not fit the forecaster that was built: {reason}") from error
    return forecaster.eval(), document["config"]
