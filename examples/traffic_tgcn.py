"""T-GCN on the simulated road network: load, cut windows, train, and compare with the last value seen.

Run: python examples/traffic_tgcn.py        (well under a minute on 2 cores)
"""

import torch

from gnnkit.data import load, make_windows
from gnnkit.temporal import TGCN
from gnnkit.training import TrainingSettings, fit, predict, seed_everything

HISTORY, HORIZON = 12, 6  # an hour of 5-minute steps to look at, half an hour to predict

series = load("simulated", num_nodes=24, days=4, seed=0)
windows = make_windows(series, history=HISTORY, horizon=HORIZON)

seed_everything(0)
model = TGCN(series.num_features, 32, HORIZON)
result = fit(
    model,
    windows,
    series.edge_index,
    series.edge_weight,
    TrainingSettings(epochs=3, batch_size=32, learning_rate=5e-3, device="cpu"),
)
print(f"{series.num_nodes} sensors, {series.num_rows} rows")
print(f"T-GCN: {result.parameters} parameters, the best of {len(result.epochs)} epochs is {result.best_epoch}")

# Every test window at once: y and its mask in the data's unit, NaN-free.
test = windows.test
batch = test.batch(torch.arange(len(test)))
forecast = predict(model, test, series.edge_index, series.edge_weight)
# The last value seen, gaps filled from the past, brought back to the data's unit.
last = test.scaler.inverse_target(batch.x[:, -1, :, 0]).unsqueeze(1).expand_as(batch.y)

print(f"\nmean absolute error, {series.unit}, over {len(test)} test windows")
print(f"{'minutes ahead':>14}{'last value':>12}{'T-GCN':>8}")
for step in range(HORIZON):
    seen = batch.y_mask[:, step]
    errors = [(guess[:, step] - batch.y[:, step]).abs()[seen].mean() for guess in (last, forecast)]
    print(f"{(step + 1) * 5:>14}{errors[0]:>12.3f}{errors[1]:>8.3f}")
