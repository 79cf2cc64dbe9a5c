"""Which is better, a GRU or T-GCN? A small comparison through the library, on a simulated road network.

Run with `python examples/rnn_or_gnn.py`. It takes seconds: 16 sensors, three days, two seeds and a small budget, so
expect wide intervals. `gnnkit compare` does the same on 64 sensors and a week, and writes a report.
"""

from rich.console import Console

from gnnkit.compare import VERDICTS, make_spec, run, summarise
from gnnkit.training import open_progress


def main() -> None:
    spec = make_spec(
        data="simulated",
        data_options={"num_nodes": 16, "days": 3},
        models=["gru", "tgcn"],
        seeds=[0, 1],
        horizons=[3, 12],
        hidden_channels=16,
        epochs=4,
        device="cpu",
    )
    bars = open_progress(Console(stderr=True))
    if bars is None:  # not a terminal: stay quiet
        results = run(spec)
    else:
        with bars:
            results = run(spec, bars)

    # Rows are the long table that all else is drawn from; here, the error over all steps up to 15 and 60 minutes.
    table = summarise(results.rows)
    table = table[(table["metric"] == "mae") & (table["score"] == "averaged")]
    print(table.pivot(index="model", columns="horizon", values="mean").loc[results.models].round(3).to_string())
    print()
    for verdict in VERDICTS.of(results):
        if (verdict.kind, verdict.metric) == ("families", "mae"):
            print(verdict.sentence)
    assert not results.failures


if __name__ == "__main__":
    main()
