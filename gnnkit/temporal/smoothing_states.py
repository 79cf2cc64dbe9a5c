"""The states of exponential smoothing, of many short histories at once: level and slope, from a history alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["SmoothingStates"]

_WIDE = 1e12
"""Variance of a first level, in variances of an error, where nothing is known of it."""
_NARROW = 1e-9
"""The least variance of a first state, in the same."""


@dataclass(frozen=True)
class SmoothingStates:
    """Exponential smoothing with additive errors and a damped slope, a model a node.

        ŷ_t = ℓ_{t−1} + φ b_{t−1} + c,   e_t = y_t − ŷ_t,   ℓ_t = ŷ_t + α e_t,   b_t = φ b_{t−1} + β e_t

    An error is 0 where nothing was observed. A history of T rows is too short to forget the state before it,
    (ℓ_0, b_0). Before the history is seen that is normal, with the mean and the variances that the states have over
    the training rows; the history gives it by least squares, which is the conditional mean.

    Args:
        alpha, beta, phi: of each node, `[N]`. β = 0 and φ = 0: there is no slope.
        drift: c, added at each step, `[N]`.
        mean: of the first state, `[N, 2]`.
        precision: the inverse of its covariance, which is diagonal, times the variance of an error, `[N, 2, 2]`.

    Source:
        Hyndman, Koehler, Ord and Snyder, "Forecasting with exponential smoothing: the state space approach", 2008:
        the recursion in chapter 2, first states by least squares in chapter 12.
    """

    alpha: Float[np.ndarray, " N"]
    beta: Float[np.ndarray, " N"]
    phi: Float[np.ndarray, " N"]
    drift: Float[np.ndarray, " N"]
    mean: Float[np.ndarray, "N 2"]
    precision: Float[np.ndarray, "N 2 2"]

    @classmethod
    def of(
        cls,
        y: Float[np.ndarray, "R N"],
        *,
        alpha: Float[np.ndarray, " N"],
        beta: Float[np.ndarray, " N"],
        phi: Float[np.ndarray, " N"],
        drift: Float[np.ndarray, " N"],
    ) -> SmoothingStates:
        """The states that training rows lead to tell what a first state may be.

        Args:
            y: the training rows, NaN where nothing was observed.
            alpha, beta, phi, drift: as above.
        """
        seen = np.isfinite(y)
        nothing = np.tile(np.eye(2) / _WIDE, (y.shape[1], 1, 1))
        plain = cls(alpha, beta, phi, drift, np.zeros((y.shape[1], 2)), nothing)
        first, _ = plain._first_and_last(np.nan_to_num(y)[None], seen[None])
        states, errors = plain._rolled(np.nan_to_num(y), seen, [each[0] for each in first])
        noise = np.square(errors).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)  # [N]
        errs = noise > 0  # one that is constant, or was not observed, has nothing to scale by
        variance = states.var(axis=0) / np.where(errs, noise, 1.0)[:, None]
        variance = np.where(errs[:, None], variance, [_WIDE, 0.0])
        variance = np.clip(variance, _NARROW, _WIDE)
        # Level and slope are taken as independent: a level that grows with the rows would foretell the slope.
        return cls(alpha, beta, phi, drift, states.mean(axis=0), np.eye(2) / variance[:, :, None])

    def forecast(
        self, y: Float[np.ndarray, "W T N"], seen: Bool[np.ndarray, "W T N"], steps: np.ndarray
    ) -> Float[np.ndarray, "W P N"]:
        """The forecasts so many steps after each history.

        Args:
            y: the histories; what stands where nothing was observed is not read.
            seen: where they were observed.
            steps: 1 is the row after the last one, `[P]`.
        """
        _, (level, slope) = self._first_and_last(np.where(seen, y, 0.0), seen)
        steps = np.asarray(steps)
        damped = np.cumsum(self.phi ** np.arange(1, steps.max() + 1)[:, None], axis=0)  # [P, N]: φ + φ² + …
        return level[:, None] + slope[:, None] * damped[steps - 1] + steps[:, None] * self.drift

    def tables(self) -> dict[str, np.ndarray]:
        """What there is to keep, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def _first_and_last(self, y: np.ndarray, seen: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Level and slope before the first row and after the last, `[W, N]` each."""
        if seen.all():
            seen = seen[:1]  # the response to a first state is the same in all windows
        shape = (len(seen), y.shape[2])
        own = [np.zeros((len(y), y.shape[2]))] * 2  # from a first state of 0
        unit = [[np.full(shape, float(i == j)) for j in range(2)] for i in range(2)]  # and how each adds to it
        square = np.broadcast_to(self.precision, (*shape, 2, 2)).copy()
        product = np.broadcast_to(np.einsum("nij,nj->ni", self.precision, self.mean), (*own[0].shape, 2)).copy()
        for row in range(y.shape[1]):
            known = seen[:, row]
            own, error = self._step(own, y[:, row], known, self.drift)
            answers = []
            for i in range(2):
                unit[i], answer = self._step(unit[i], 0.0, known, 0.0)
                answers.append(answer)
            for i in range(2):
                product[..., i] -= answers[i] * error
                for j in range(2):
                    square[..., i, j] += answers[i] * answers[j]
        (a, b), (c, d) = ([square[..., i, j] for j in range(2)] for i in range(2))
        turn = a * d - b * c
        first = [(d * product[..., 0] - b * product[..., 1]) / turn, (a * product[..., 1] - c * product[..., 0]) / turn]
        return first, [own[i] + unit[0][i] * first[0] + unit[1][i] * first[1] for i in range(2)]

    def _step(self, state: list, y: np.ndarray | float, known: np.ndarray, drift: np.ndarray | float) -> tuple:
        """The states after one more row, and its error, 0 where nothing was observed."""
        slope = self.phi * state[1]
        expected = state[0] + slope + drift
        error = np.where(known, y - expected, 0.0)
        return [expected + self.alpha * error, slope + self.beta * error], error

    def _rolled(self, y: np.ndarray, seen: np.ndarray, state: list) -> tuple[np.ndarray, np.ndarray]:
        """The states `[R, N, 2]` and the errors `[R, N]` of all rows."""
        states, errors = [], []
        for row in range(len(y)):
            state, error = self._step(state, y[row], seen[row], self.drift)
            states.append(np.stack(state, axis=-1))
            errors.append(error)
        return np.stack(states), np.stack(errors)
