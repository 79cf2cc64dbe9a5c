"""Chronos-Bolt and Chronos-2, foundation models of time series: forecasts of weights that saw none of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gnnkit._optional import optional_import

__all__ = ["Chronos"]


class Chronos:
    """A pretrained transformer that forecasts each node from its own history, and learns nothing here: its median.

    It has read a great many other series, and reads long histories: give it more than the 12 steps of a traffic model,
    as by `--history 512`. Gaps stay gaps. Nothing is downloaded: the weights are a folder of yours.

    Args:
        path: The folder with `config.json` and `model.safetensors`, of `amazon/chronos-bolt-tiny` to `-base` or
            `amazon/chronos-2`, as a hub of models has them.
        batch: Histories that are forecast together. Default 256.
        device: Where it runs, `"cpu"` (default) or one of torch's others.

    Raises:
        ImportError: chronos-forecasting is not installed.
        ValueError: `path` is no such folder, or holds another model.

    Source:
        Ansari et al., "Chronos: learning the language of time series" (2024), and "Chronos-2: from univariate to
        universal forecasting" (2025). Chronos-2's attention among series and its covariates are not used.
    """

    deterministic = True
    target_only = True
    uses_graph = False
    needs = ("chronos", "chronos")

    def __init__(self, *, path: str, batch: int = 256, device: str = "cpu") -> None:
        if batch < 1:
            raise ValueError(f"model 'chronos': batch must be a whole number of at least 1, got {batch!r}")
        self.path, self.batch, self.device = Path(path).expanduser().absolute(), int(batch), device
        if not (self.path / "config.json").is_file():
            raise ValueError(
                f"model 'chronos': path={str(path)!r} is no folder with a config.json; give the one that holds "
                "config.json and model.safetensors of Chronos-Bolt or Chronos-2"
            )
        self._pipeline: Any = None

    @property
    def num_parameters(self) -> int:
        """Weights of the pretrained model; none was learned here."""
        return sum(parameter.numel() for parameter in self._opened().inner_model.parameters())

    def fit(self, train: Any, validation: Any) -> None:
        """Open the folder; the windows are not read."""
        self._opened()

    def predict(self, windows: Any) -> Float[np.ndarray, "W P N"]:
        """The median forecast in the data's unit; a history without a value is forecast as what fills it."""
        pipeline, (x, filled) = self._opened(), (windows.x[..., 0], windows.filled[..., 0])
        steps, nodes = windows.lead - 1 + windows.horizon, x.shape[2]
        found = np.empty((len(x) * nodes, windows.horizon))
        for first in range(0, len(found), self.batch):
            rows = np.arange(first, min(first + self.batch, len(found)))
            window, node = rows // nodes, rows % nodes
            series = x[window, :, node].astype(np.float32)  # [rows, T], a copy
            unseen = ~np.isfinite(series).any(axis=1)
            series[unseen] = filled[window[unseen], :, node[unseen]]
            # Chronos-2 takes single series as a list only, and gives a list; Chronos-Bolt takes both.
            given, _ = pipeline.predict_quantiles(
                list(torch.from_numpy(series)), prediction_length=steps, quantile_levels=[0.5]
            )
            found[rows] = torch.stack([each.reshape(steps) for each in given])[:, -windows.horizon :].numpy()
        return found.reshape(len(x), nodes, -1).transpose(0, 2, 1)

    def save(self, folder: str | Path) -> None:
        """Write `chronos.json`: where the weights are. They stay there."""
        said = {"path": str(self.path), "batch": self.batch, "device": self.device}
        (Path(folder) / "chronos.json").write_text(json.dumps(said) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Chronos:
        """Read what `save` wrote."""
        return cls(**json.loads((Path(folder) / "chronos.json").read_text("utf-8")))

    def _opened(self) -> Any:
        if self._pipeline is None:
            library = optional_import(self.needs[0], purpose="model 'chronos'", extra=self.needs[1])
            try:
                found = library.BaseChronosPipeline.from_pretrained(
                    self.path, device_map=self.device, dtype="float32", local_files_only=True
                )
            except (OSError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
                text = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ValueError(
                    f"model 'chronos': path={str(self.path)!r} holds no weights of Chronos that can be read: {text}"
                ) from error
            if found.forecast_type.name != "QUANTILES":
                raise ValueError(
                    f"model 'chronos': path={str(self.path)!r} holds a Chronos that draws samples; give "
                    "Chronos-Bolt or Chronos-2, which forecast quantiles"
                )
            self._pipeline = found
        return self._pipeline
