"""A regressor of a library beside the models of gnnkit, by fit and predict alone.

gnnkit's own trees are `lightgbm` and `lightgbm-graph`; these show how little a rival of one's own takes.

gnnkit compare --models gru,tgcn,examples/own_trees.py:Trees
"""

import lightgbm
import numpy as np


class Trees:
    """Trees (LightGBM) of each node's last values and its neighbours': a regressor a step."""

    uses_graph = True

    def __init__(self, seed=0, *, lags=6, trees=60, learning_rate=0.1):
        options = {"n_estimators": trees, "learning_rate": learning_rate, "random_state": seed, "num_threads": 1}
        self.lags, self.options = lags, {"objective": "mae", "verbose": -1, **options}

    def fit(self, train, validation):
        inputs, table = self._inputs(train)
        self.models = []
        for step in range(1, train.horizon + 1):
            change = table[f"target_{step}"] - table["lag_0"]
            known = change.notna()
            self.models.append(lightgbm.LGBMRegressor(**self.options).fit(inputs[known], change[known]))

    def predict(self, windows):
        inputs, table = self._inputs(windows)
        change = np.stack([model.predict(inputs) for model in self.models], axis=1)  # [W · N, P]
        return table[["lag_0"]].to_numpy() + change

    def _inputs(self, windows):
        table = windows.frame(lags=self.lags, fill=True, neighbours=True)
        return table.filter(regex="lag_|near_|feature_"), table
