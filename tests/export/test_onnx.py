"""ONNX programs say what the model says, run by onnxruntime, on graphs of every awkward kind."""

import json

import pytest
import torch
from torch import nn

from gnnkit import _optional
from gnnkit.export import Export, ExportError, Value, classifier_export, export_to, forecaster_export
from gnnkit.export.onnx import onnx_runner
from gnnkit.export.program import export_program
from gnnkit.layers import NodeClassifier

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def classifier(layer, **more):
    torch.manual_seed(0)
    config = {"in_channels": 4, "hidden_channels": 4, "out_channels": 3, "layer": layer, **more}
    return classifier_export(NodeClassifier(**config).eval(), config, {})


def test_gat_is_right_where_every_logit_is_far_below_zero(tmp_path):
    """ScatterElements looks for a largest value from zero on: a weight would be exp(-300) over a sum of such."""
    export = classifier("gat")
    for layer in export.module.model.layers:
        layer.att_src.data.fill_(-300.0)
        layer.lin.weight.data.abs_()
        layer.att_dst.data.zero_()
    drawn = export.draw
    positive = Export(
        export.module,
        export.inputs,
        export.outputs,
        lambda seed: ({**(given := drawn(seed))[0], "x": given[0]["x"].abs() + 1}, given[1]),
        description=export.description,
    )
    found = export_to(positive, tmp_path / "gat.onnx", format="onnx", draws=20)
    assert found["checked"]["largest_difference"] < 1e-5
    inputs, _ = positive.draw(1)
    scores = onnx_runner(tmp_path / "gat.onnx", export)(inputs)["scores"]
    assert scores.abs().sum() > 0


def test_a_forecaster_says_what_it_is_in_its_metadata(fit, tmp_path):
    fitted = fit("stid-graph")
    out = tmp_path / "mine.onnx"
    found = export_to(forecaster_export(fitted, graph="given"), out, format="onnx", draws=20)
    assert found["checked"]["inputs"] == 20
    held = onnx.load(out)
    said = json.loads({entry.key: entry.value for entry in held.metadata_props}["gnnkit"])
    beside = json.loads((tmp_path / "mine.onnx.json").read_text())
    assert said == {name: value for name, value in beside.items() if name not in ("checked", "checksum")}
    assert said["nodes"] == fitted.config["node_names"]
    assert [value.name for value in held.graph.input] == ["history", "edge_index", "edge_weight"]
    assert [value.name for value in held.graph.output] == ["forecast", "low", "high"]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.onnx", "mine.onnx.json"}


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["gcn", "gcn2", "dagnn"])
def test_node_classifiers(layer, tmp_path):
    assert export_to(classifier(layer), tmp_path / "it.onnx", format="onnx")["checked"]["largest_difference"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gru", "gcn", "tgcn"])
def test_forecasters_of_any_nodes(fit, model, tmp_path):
    found = export_to(forecaster_export(fit(model), nodes="given"), tmp_path / "it.onnx", format="onnx")
    assert found["checked"]["largest_difference"] < 1e-5


class Running(nn.Module):
    """Has an operator that ONNX has not."""

    def forward(self, x):
        return {"out": torch.linalg.eigvals(x @ x.T).real}


def test_an_operator_that_onnx_has_not_is_named(tmp_path):
    export = Export(
        Running(),
        (Value("x", ("B", 3), ""),),
        (Value("out", ("B",), ""),),
        lambda seed: ({"x": torch.ones(3 + abs(seed), 3)}, ""),
        description={"model": "mine"},
    )
    export_program(export)
    with pytest.raises(ExportError, match=r"^mine cannot be written as ONNX: the operator aten\.\w*eig\w*$"):
        export_to(export, tmp_path / "it.onnx", format="onnx", draws=1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_a_line(fit, tmp_path, monkeypatch):
    real = _optional.importlib.import_module

    def missing(name, *rest):
        if name == "onnxscript":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(_optional.importlib, "import_module", missing)
    message = r'exporting to ONNX needs onnxscript, which cannot be imported here: pip install "gnnkit\[onnx\]"'
    with pytest.raises(ImportError, match=message):
        export_to(forecaster_export(fit("dlinear")), tmp_path / "it.onnx", format="onnx", draws=1)
    assert list(tmp_path.iterdir()) == []
