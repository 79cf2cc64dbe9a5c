"""Do exported programs say what their models say, on a thousand random graphs each?

    python benchmarks/exports.py                              all forecasters, node classifiers and layers, both formats
    python benchmarks/exports.py --only gru,gat --format onnx --draws 100 --out rows.csv

Each forecaster of the registry is trained for an epoch on five nodes, each node classifier and drop-in layer has its
start weights. A program is for any number of nodes where the model knows none by number, and takes its edges where it
reads any. It is asked for the outputs of random inputs beside its model: other sizes than its example's, gaps in the
histories, self-loops, duplicate edges, isolated nodes, no edge at all, weights that are zero or negative. A row has the
largest difference (allowed: 1e-5 of a value, or of its node's deviation), or the line in which the export was refused.
A program that has its row is not made again. Rows go to results/exports.csv.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS, Rows
from torch import nn

from gnnkit.data import simulate_traffic
from gnnkit.export import Export, ExportError, Value, classifier_export, export_to, forecaster_export
from gnnkit.export.graphs import random_graph
from gnnkit.forecasting import FitSettings, train_forecaster
from gnnkit.layers import GATLayer, GCN2Layer, GCNLayer, NodeClassifier, RelationalGCNLayer
from gnnkit.temporal import MODELS

FEATURES, RELATIONS = 4, 3


class Named(nn.Module):
    """A layer whose output has a name."""

    def __init__(self, layer: nn.Module, sends_first: bool) -> None:
        super().__init__()
        self.layer, self.sends_first = layer, sends_first

    def forward(self, x: Any, edge_index: Any, edge_weight: Any = None, edge_type: Any = None) -> dict[str, Any]:
        """The layer's output."""
        given = {"edge_weight": edge_weight, "edge_type": edge_type}
        more = {name: value for name, value in given.items() if value is not None}
        return {"out": self.layer(*((x, x) if self.sends_first else (x,)), edge_index, **more)}


def layer_export(name: str, layer: nn.Module, *more: str) -> Export:
    """A layer with random inputs."""
    values = {
        "x": Value("x", ("N", FEATURES), "features"),
        "edge_index": Value("edge_index", (2, "E"), "edges", dtype="int64"),
        "edge_weight": Value("edge_weight", ("E",), "weights"),
        "edge_type": Value("edge_type", ("E",), "relations", dtype="int64"),
    }
    names = ("x", "edge_index", *more)

    def draw(seed: int) -> tuple[dict[str, Any], str]:
        count = 7 if seed < 0 else 1 + seed * 5 % 13
        graph, generator = random_graph(count, max(seed, 0)), torch.Generator().manual_seed(seed + 1)
        drawn = {
            "x": torch.randn(count, FEATURES, generator=generator),
            "edge_index": graph.edge_index,
            "edge_weight": graph.edge_weight,
            "edge_type": torch.randint(0, RELATIONS, (graph.edge_index.size(1),), generator=generator),
        }
        return {each: drawn[each] for each in names}, graph.kind

    inputs = tuple(values[each] for each in names)
    outputs = (Value("out", ("N", FEATURES), "features"),)
    module = Named(layer, isinstance(layer, GCN2Layer))
    return Export(module, inputs, outputs, draw, description={"model": name})


def forecaster(name: str) -> Export:
    """A forecaster, as open as it can be."""
    settings = FitSettings(epochs=1, horizons=[3], history=5, hidden_channels=8, device="cpu")
    fitted = train_forecaster(name, settings, series=simulate_traffic(num_nodes=5, days=2))
    for options in ({"nodes": "given"}, {"graph": "given"}):
        try:
            return forecaster_export(fitted, **options)
        except ExportError:
            continue
    return forecaster_export(fitted)


def classifier(layer: str) -> Export:
    """A node classifier with its start weights."""
    config = {"in_channels": FEATURES, "hidden_channels": 8, "out_channels": 3, "layer": layer}
    return classifier_export(NodeClassifier(**config).eval(), config, {})


def subjects() -> dict[str, Callable[[], Export]]:
    """All that is exported, by name."""
    layers = {
        "GCNLayer": lambda: layer_export("GCNLayer", GCNLayer(FEATURES, FEATURES), "edge_weight"),
        "GATLayer": lambda: layer_export("GATLayer", GATLayer(FEATURES, 2, heads=2)),
        "GCN2Layer": lambda: layer_export("GCN2Layer", GCN2Layer(FEATURES, 0.1, 0.5, 1), "edge_weight"),
        "RelationalGCNLayer": lambda: layer_export(
            "RelationalGCNLayer", RelationalGCNLayer(FEATURES, FEATURES, RELATIONS), "edge_type", "edge_weight"
        ),
    }
    classifiers = {f"classifier-{layer}": partial(classifier, layer) for layer in ("gcn", "gat", "gcn2", "dagnn")}
    own = [name for name in MODELS.names() if not MODELS[name].is_own]
    return {**layers, **classifiers, **{name: partial(forecaster, name) for name in own}}


def main() -> None:
    """Export, ask and keep rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, between commas")
    parser.add_argument("--format", default="torch,onnx")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS / "exports.csv")
    options = parser.parse_args()
    known = subjects()
    wanted = options.only.split(",") if options.only else list(known)
    rows = Rows(options.out, ["model", "format", "draws"], "cpu")
    torch.manual_seed(0)
    for name in wanted:
        for kind in options.format.split(","):
            run = {"model": name, "format": kind, "draws": options.draws}
            if rows.has(**run):
                continue
            began = time.perf_counter()
            found: dict[str, Any] = {"open": "", "largest_difference": float("nan"), "refused": ""}
            try:
                export = known[name]()
                axes = {axis for value in export.inputs for axis in value.shape if isinstance(axis, str)}
                found["open"] = " ".join(axis for axis in ("B", "N", "E") if axis in axes)
                with tempfile.TemporaryDirectory() as folder:
                    made = export_to(export, Path(folder) / "program", format=kind, draws=options.draws)
                found["largest_difference"] = made["checked"]["largest_difference"]
            except ExportError as error:
                found["refused"] = str(error)
            rows.add([{**found, "seconds": time.perf_counter() - began}], **run)
            told = found["refused"] or f"open {found['open']}, largest difference {found['largest_difference']:.2g}"
            print(f"{name:<20} {kind:<6} {told}", flush=True)


if __name__ == "__main__":
    main()
