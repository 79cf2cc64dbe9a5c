import pandas as pd

from gnnkit.studies.nodes.depth_plots import draw_accuracy, draw_energy, draw_influence


def test_figures_show_the_rows():
    rows = pd.DataFrame(
        [
            {"model": "gcn", "depth": d, "seed": s, "test_accuracy": 0.8 - d / 100 + s / 50}
            for d in (2, 4)
            for s in (0, 1)
        ]
    )
    (axes,) = draw_accuracy(rows).axes
    assert axes.get_title() == "Accuracy by depth, 2 seeds"
    line = axes.lines[0]
    assert [round(y, 6) for y in line.get_ydata()] == [79.0, 77.0]

    layers = pd.DataFrame(
        [
            {
                "model": "gat",
                "depth": depth,
                "stage": stage,
                "layer": layer,
                "energy": 10.0 ** -(9 * layer),
                "raw_energy": 2.0**-layer,
            }
            for depth in (1, 2)
            for stage in ("start", "trained")
            for layer in range(depth + 1)
        ]
    )
    raw, raw_trained, raw_last, start, _, last = draw_energy(layers).axes
    assert list(raw.lines[0].get_ydata()) == [1.0, 0.5, 0.25]
    assert list(start.lines[0].get_ydata()) == [1.0, 1e-9, 1e-16]  # rounding stands on the floor
    assert raw_trained.get_title() == "2 layers, after training"
    assert list(raw_last.lines[0].get_xdata()) == [1, 2]
    assert list(raw_last.lines[0].get_ydata()) == [0.5, 0.25]
    assert list(last.lines[0].get_ydata()) == [1e-9, 1e-16]

    influence = pd.DataFrame([{"model": "gcn2", "depth": 2, "hop": hop, "share": 0.5 / (hop + 1)} for hop in range(6)])
    (axes,) = draw_influence(influence).axes
    assert list(axes.lines[0].get_ydata()) == [0.5, 0.25, 0.5 / 3]
