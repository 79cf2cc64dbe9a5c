"""Why an LSTM remembers: the product of 49 Jacobians of a vanilla RNN against an LSTM's.

    python examples/vanishing_gradient.py [figure.png]

Every gradient through time carries the product ds_T/ds_i of the Jacobians between step i and the last one (s is what a
step hands to the next). Where its norm shrinks with every step back the gradient vanishes, where it grows it explodes.
"""

import sys

import torch
from torch import Tensor

from gnnkit.sequence import LSTMCell, RNNCell, jacobian_products, plot_gradient_flow, state_jacobians

STEPS, CHANNELS = 50, 32
SHOWN = (50, 40, 30, 20, 10, 1)


def rnn(gain: float) -> RNNCell:
    """A vanilla RNN whose recurrent matrix stretches every vector by the same gain."""
    cell = RNNCell(1, CHANNELS)
    with torch.no_grad():
        torch.nn.init.orthogonal_(cell.candidate.weight_h, gain=gain)
        cell.candidate.weight_x.mul_(0.1)  # small states, where the slope of tanh is near 1
        cell.candidate.bias.zero_()
    return cell


def lstm(forget_bias: float) -> LSTMCell:
    """An LSTM whose forget gate starts nearer to open, the larger its bias."""
    cell = LSTMCell(1, CHANNELS)
    with torch.no_grad():
        cell.forget.bias.fill_(forget_bias)
    return cell


def product_norms(cell: RNNCell | LSTMCell, x: Tensor) -> Tensor:
    """The largest factor by which ds_T/ds_i stretches a vector, for i = 1 ... T."""
    return torch.linalg.matrix_norm(jacobian_products(state_jacobians(cell, x)), ord=2)


def main(figure: str = "vanishing_gradient.png") -> dict[str, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(STEPS, 1, dtype=torch.float64)
    cells = {
        "RNN, gain 0.7": rnn(0.7),
        "RNN, gain 1.2": rnn(1.2),
        "LSTM, forget bias 0": lstm(0.0),
        "LSTM, forget bias 4": lstm(4.0),
    }
    norms = {name: product_norms(cell.double(), x) for name, cell in cells.items()}

    print(f"norm of ds_{STEPS}/ds_i at i =" + "".join(f"{i:>10}" for i in SHOWN))
    for name, values in norms.items():
        print(f"{name:<25}" + "".join(f"{values[i - 1]:>10.1e}" for i in SHOWN))
    print("A forget gate near 1 carries the cell state, and with it the gradient, back to the first step;")
    print("an LSTM that starts with half-open gates forgets as fast as the RNN that shrinks.")

    panels = {kind: {name: v for name, v in norms.items() if name.startswith(kind)} for kind in ("RNN", "LSTM")}
    plot_gradient_flow(panels, ylabel="norm of ds_T/ds_i", title=f"T = {STEPS}").savefig(figure, dpi=110)
    print(f"Figure: {figure}")
    return norms


if __name__ == "__main__":
    main(*sys.argv[1:2])
