"""From a data frame and a graph to a verdict, in every form that a graph has; and what is said of wrong input."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data

from gnnkit import compare as package
from gnnkit.compare import Comparison, compare, kept_spec
from gnnkit.compare import frame as frame_module

HOURS = pd.date_range("2024-01-01", periods=240, freq="h")
WAVES = np.sin(np.arange(240)[:, None] * 2 * np.pi / 24 + np.arange(3)) + np.random.default_rng(0).normal(
    scale=0.1, size=(240, 3)
)
FRAME = pd.DataFrame(WAVES, index=HOURS, columns=["a", "b", "c"])
EDGES = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"], "weight": [0.5, 2.0]})
QUICK = {
    "rivals": False,
    "quick_look": False,
    "epochs": 1,
    "hidden_channels": 4,
    "history": 6,
    "seeds": 1,
    "device": "cpu",
    "progress": False,
    "resamples": 100,
}


@pytest.fixture
def read(monkeypatch):
    """The series that a comparison would be run on, and its spec; nothing is trained."""

    class Stopped(Exception): ...

    found = []

    def stop(spec, bars, *, series, **_):
        found.append((series, spec))
        raise Stopped

    monkeypatch.setattr(frame_module, "run", stop)

    def call(*data, **settings):
        with pytest.raises(Stopped):
            compare(*data, **{"progress": False, **settings})
        return found[-1]

    return call


@pytest.fixture(scope="module")
def found():
    return compare(FRAME, EDGES, ["dlinear", "gcn"], [2, 3], name="waves", unit="m", ablate_graph=True, **QUICK)


def test_the_package_keeps_its_name():
    assert package.compare is compare
    assert package.make_spec(models=["gru"]).models == ("gru",)


def test_models_are_compared_on_the_frame(found):
    assert isinstance(found, Comparison)
    assert (found.data.name, found.data.unit, found.data.step_minutes) == ("waves", "m", 60)
    assert found.data.edges == [[0, 1, 0.5], [1, 2, 2.0]]
    assert found.horizons == [2, 3]
    assert {"dlinear", "gcn"} < set(found.models)
    assert found.spec["ablate_graph"] == ["gcn"]
    assert found.verdict().startswith("Open whether the given graph helps up to 3 hours")


def test_the_report_says_how_it_is_called(found):
    command = found.spec["command"]
    assert command.startswith("gnnkit.compare.compare(series, graph, ")
    for part in ("models=('dlinear', 'gcn')", "horizons=(2, 3)", "epochs=1", "unit='m'"):
        assert part in command


def as_networkx():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 0.5), ("b", "c", 2.0)])
    return graph


MATRIX = np.array([[0, 0.5, 0], [0, 0, 2.0], [0, 0, 0]])


@pytest.mark.parametrize(
    "graph",
    [
        as_networkx(),
        EDGES,
        pd.DataFrame(MATRIX, index=["a", "b", "c"], columns=["a", "b", "c"]).loc[["c", "a", "b"], ["b", "c", "a"]],
        scipy.sparse.csr_matrix(MATRIX),
        MATRIX,
        torch.tensor(MATRIX),
        Data(edge_index=torch.tensor([[0, 1], [1, 2]]), edge_weight=torch.tensor([0.5, 2.0]), num_nodes=3),
    ],
    ids=["networkx", "edges", "matrix with names", "scipy", "numpy", "torch", "PyG"],
)
def test_a_graph_has_many_forms(graph, read):
    series, _ = read(FRAME, graph)
    assert series.edge_index.tolist() == [[0, 1], [1, 2]]
    assert series.edge_weight.tolist() == [0.5, 2.0]


def test_an_undirected_graph_counts_both_ways(read):
    series, _ = read(FRAME, nx.Graph([("c", "b")]))
    assert sorted(series.edge_index.T.tolist()) == [[1, 2], [2, 1]]


def test_counts_and_truth_values_are_those_of_the_command_line(read):
    _, spec = read(FRAME, EDGES, ["gcn", "gru"], seeds=2, ablate_graph=True, epochs=3, split=(0.5, 0.2, 0.3))
    assert (spec.seeds, spec.ablate_graph, spec.epochs, spec.split) == ((0, 1), ("gcn",), 3, (0.5, 0.2, 0.3))
    _, spec = read(FRAME, models="gru", ablate_graph=False)
    assert (spec.models, spec.ablate_graph) == (("gru",), ())


def test_fields_of_the_data_say_how_they_are_read(read):
    plain = FRAME.reset_index(drop=True)
    plain.loc[3, "b"] = -9
    series, _ = read(plain, step_minutes=30, season=48, missing_values=-9, unit="m")
    assert (series.step_minutes, series.season, series.unit) == (30, 48, "m")
    assert series.values[..., 0].isnan().nonzero().tolist() == [[3, 1]]


def test_a_run_that_is_kept_goes_on(tmp_path, monkeypatch):
    out = tmp_path / "out"
    again = compare(FRAME, EDGES, ["dlinear"], [2], out=out, **QUICK)
    assert {"results.json", "rows.csv", "report.html", "spec.json"} <= {path.name for path in out.iterdir()}
    kept = next((out / "jobs").glob("*.safetensors"))
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr(frame_module, "write_output", lambda results, folder: None)  # it is there
    compare(FRAME, EDGES, ["dlinear"], [2], out=out, **QUICK)
    assert kept.stat().st_mtime_ns == written
    assert kept_spec(out).models == ("dlinear",)
    assert Comparison.load(out).table().equals(again.table())
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match=r"^out: .* holds other files \(mine\.txt\)"):
        compare(FRAME, EDGES, ["dlinear"], out=tmp_path, **QUICK)


@pytest.mark.parametrize(
    ("frame", "settings", "message"),
    [
        (pd.DataFrame(), {}, "series: no values, its shape is 0 × 0"),
        (
            FRAME.astype({"c": str}),
            {},
            r"series: column 'c' is not numeric \(its type is str\); leave it out, or turn it",
        ),
        (
            FRAME.set_axis([HOURS[0], *HOURS[:-1]]),
            {},
            r"series: row 1 \(counted from 0\) is at 2024-01-01 00:00:00 like",
        ),
        (FRAME.set_axis(HOURS + pd.to_timedelta(np.arange(240) ** 2, unit="min")), {}, "series: "),
        (FRAME[["a", "b"]], {}, "graph: .*'c' is no node of the series"),
        (FRAME, {"epoch": 3}, "compare: there is no such setting: 'epoch'; did you mean 'epochs'"),
        (FRAME, {"data": "los-loop"}, r"data: give the data as the first arguments: compare\(series, graph\)"),
        (FRAME, {"models": ["grru"]}, "models: unknown model 'grru'; did you mean 'gru'"),
        (FRAME, {"horizons": [0]}, "horizons: 0 is not a number of steps ahead"),
        (FRAME, {"season": 1}, "season: 1 is not allowed: give at least 2"),
        (FRAME, {"time": "day", "time_column": "day"}, "time and time_column are one setting; give one of them"),
        (FRAME.head(8), {"history": 12}, "history=12 and horizon="),
        (FRAME, {"track": "tensorboard"}, "track='tensorboard': a tracker needs a folder that stays; give out"),
    ],
)
def test_wrong_input_is_said_in_a_line(frame, settings, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        compare(frame, EDGES, **{"progress": False, **settings})
    assert "\n" not in str(caught.value)
