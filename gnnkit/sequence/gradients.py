"""Gradients through time: in closed form for a vanilla network, measured for any network that can be unrolled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.sequence.cells import GRUCell, LSTMCell, LSTMState, RNNCell

__all__ = ["RNNGradients", "Unrollable", "gradient_flow", "jacobian_products", "rnn_gradients", "state_jacobians"]


class Unrollable(Protocol):
    """A recurrent model: `unroll` gives h_1 ... h_T on the plain path, each computed from the one before."""

    def unroll(self, *inputs: Any) -> Sequence[Tensor] | Tensor: ...


class RNNGradients(NamedTuple):
    """Loss, states and gradients of a vanilla recurrent network; from `rnn_gradients`.

    Shape:
        loss `[]`, states `[T, B, C]`, w_ph `[K, C]`, w_hh `[C, C]`, terms `[T, C, C]`, products `[T, B, C, C]`.
    """

    loss: Tensor
    states: Tensor
    #: dL/dW_ph and dL/dW_hh.
    w_ph: Tensor
    w_hh: Tensor
    #: Step i's part of dL/dW_hh: what the use of W_hh at step i adds. They sum to `w_hh`.
    terms: Tensor
    #: dh_T/dh_i, the product of the Jacobians dh_j/dh_{j-1} over j = i+1 ... T; the last is the identity.
    products: Tensor


def rnn_gradients(
    x: Float[Tensor, "B T F"],
    target: Int[Tensor, " B"],
    *,
    w_hx: Float[Tensor, "C F"],
    w_hh: Float[Tensor, "C C"],
    b_h: Float[Tensor, " C"],
    w_ph: Float[Tensor, "K C"],
    b_p: Float[Tensor, " K"],
    h_0: Float[Tensor, "B C"] | None = None,
) -> RNNGradients:
    """The gradients of a vanilla recurrent network's loss at the last step, in closed form.

    The network: `h_t = tanh(W_hx x_t + W_hh h_{t-1} + b_h)`, `p = W_ph h_T + b_p`, `L = -log softmax(p)[target]`, the
    mean over the batch. With `d = softmax(p) - onehot(target)`:

    `dL/dW_ph = d h_T'` and
    `dL/dW_hh = sum_i diag(1 - h_i^2) (prod_{j=i+1..T} dh_j/dh_{j-1})' W_ph' d h_{i-1}'`, `dh_j/dh_{j-1} = diag(1 -
    h_j^2) W_hh`.

    The first depends on the last step alone. In the second the term of step i carries T - i Jacobians: where they
    shrink a vector, early steps teach nothing (the gradient vanishes); where they stretch it, it explodes.

    Args:
        x: The input.
        target: The class of each sequence.
        w_hx, w_hh, b_h: Weights and bias of the state.
        w_ph, b_p: Weights and bias of the output.
        h_0: State before the first step; None (default) is zero, so that step 1 adds nothing to dL/dW_hh.

    Shape:
        C channels of the state, K classes; results as in `RNNGradients`.

    Returns:
        The loss and its gradients; nothing is recorded for autograd.

    Raises:
        ValueError: Shapes that do not fit each other, an empty batch, or a class that is not there.

    Source:
        The course report's part 1.1; Bengio, Simard & Frasconi (1994), Pascanu, Mikolov & Bengio (2013).

    Example:
        >>> w = dict(w_hx=torch.randn(4, 2), w_hh=torch.randn(4, 4), b_h=torch.zeros(4),
        ...          w_ph=torch.randn(3, 4), b_p=torch.zeros(3))
        >>> found = rnn_gradients(torch.randn(5, 6, 2), torch.tensor([0, 1, 2, 0, 1]), **w)
        >>> torch.allclose(found.terms.sum(0), found.w_hh), found.products.shape
        (True, torch.Size([6, 5, 4, 4]))
    """
    _check_network(x, target, w_hx, w_hh, b_h, w_ph, b_p, h_0)
    with torch.no_grad():
        batch, length, channels = x.size(0), x.size(1), w_hh.size(0)
        states = [x.new_zeros(batch, channels) if h_0 is None else h_0]
        for t in range(length):
            states.append(torch.tanh(x[:, t] @ w_hx.T + states[-1] @ w_hh.T + b_h))
        h = torch.stack(states)  # [T + 1, B, C], h_0 first

        logits = h[-1] @ w_ph.T + b_p
        loss = F.cross_entropy(logits, target)
        d = (logits.softmax(dim=-1) - F.one_hot(target, w_ph.size(0))) / batch  # dL/dp, [B, K]

        slope = 1 - h[1:] ** 2  # derivative of tanh at each step, [T, B, C]
        jacobians = slope[..., None] * w_hh  # dh_j/dh_{j-1}, [T, B, C, C]
        products = jacobian_products(jacobians)
        # dL/dh_i = (dh_T/dh_i)' W_ph' d; through tanh to the sum inside it; times h_{i-1}' for the weights.
        from_state = torch.einsum("tbji,bj->tbi", products, d @ w_ph) * slope
        terms = torch.einsum("tbi,tbj->tij", from_state, h[:-1])
        return RNNGradients(loss, h[1:], d.T @ h[-1], terms.sum(dim=0), terms, products)


def jacobian_products(jacobians: Float[Tensor, "T *B C C"]) -> Float[Tensor, "T *B C C"]:
    """Products of a sequence's Jacobians, from the last step back: `P_i = J_T J_{T-1} ... J_{i+1} = ds_T/ds_i`.

    Args:
        jacobians: `J_j = ds_j/ds_{j-1}` for j = 1 ... T. J_1, which leads to the state before the first step, goes
            into none.

    Returns:
        `P_1 ... P_T`; the last is the identity.

    Raises:
        ValueError: Not a sequence of square matrices.

    Example:
        >>> jacobian_products(torch.tensor([[[2.0]], [[3.0]], [[5.0]]])).flatten()
        tensor([15.,  5.,  1.])
    """
    if jacobians.dim() < 3 or jacobians.size(-1) != jacobians.size(-2) or jacobians.size(0) == 0:
        raise ValueError(f"jacobians must have shape [T, ..., C, C] with T at least 1, got {list(jacobians.shape)}")
    eye = torch.eye(jacobians.size(-1), dtype=jacobians.dtype, device=jacobians.device)
    products = [eye.expand_as(jacobians[0])]
    for jacobian in jacobians[1:].flip(0):
        products.append(products[-1] @ jacobian)
    return torch.stack(products[::-1])


def state_jacobians(
    cell: RNNCell | LSTMCell | GRUCell, x: Float[Tensor, "T F"], state: Any = None
) -> Float[Tensor, "T S S"]:
    """The Jacobian of each step of a cell, `ds_t/ds_{t-1}`, along one sequence.

    s is everything that a step hands to the next: h, and for an LSTM [h, c], so that S is C or 2 C. An LSTM's gradient
    lives in c: `dc_t/dc_{t-1}` has the forget gate on its diagonal, and what is near 1 does not vanish.

    Args:
        cell: An `RNNCell`, `LSTMCell` or `GRUCell`.
        x: One sequence.
        state: The state before the first step, each `[1, C]`; None (default) is zero.

    Returns:
        T Jacobians, by automatic differentiation, detached.

    Raises:
        ValueError: `x` is not `[T, F]` with F = in_channels and T at least 1.

    Example:
        >>> cell = RNNCell(2, 4)
        >>> h = cell.unroll(torch.ones(3, 1, 2))
        >>> jacobians = state_jacobians(cell, torch.ones(3, 2))
        >>> torch.allclose(jacobians[2], (1 - h[2].T ** 2) * cell.candidate.weight_h, atol=1e-6)
        True
    """
    if x.dim() != 2 or x.size(0) == 0 or x.size(1) != cell.in_channels:
        raise ValueError(
            f"x must be one sequence [T, F] with F = in_channels = {cell.in_channels} and T >= 1, got {list(x.shape)}"
        )
    lstm = isinstance(cell, LSTMCell)
    width = cell.hidden_channels

    def step(vector: Tensor, row: Tensor) -> Tensor:
        s = vector[None]
        out = cell(row[None], LSTMState(s[:, :width], s[:, width:]) if lstm else s)
        return torch.cat(list(out) if lstm else [out], dim=-1)[0]

    if state is None:
        vector = x.new_zeros(2 * width if lstm else width)
    else:
        vector = torch.cat(list(state) if lstm else [state], dim=-1)[0]
    jacobians = []
    for row in x:
        jacobians.append(torch.func.jacrev(step)(vector.detach(), row).detach())
        vector = step(vector, row).detach()
    return torch.stack(jacobians)


def gradient_flow(
    model: Any,
    batch: Sequence[Any],
    *,
    loss: Callable[[Tensor, Any], Tensor] | None = None,
    per_direction: bool = False,
) -> Tensor:
    """Measure how much of the loss's gradient arrives at each step: `||dL/dh_t||` for t = 1 ... T.

    The gradient is the total one, along every path from h_t to the loss that the plain path has (in an LSTM from h_t
    through the gates into the cell states). The norm is Frobenius's, over the batch and all channels.

    Args:
        model: Any `Unrollable`, a model with `unroll(*inputs)`; one that reads in two directions needs
            `unroll_directions(*inputs)`, too, as `SequenceClassifier` and `gnnkit.sequence.BiLSTM` have it, since
            joined states lead to nothing.
        batch: What `unroll` takes, and behind it the target: `(tokens, target)`, `(x, edge_index, edge_weight, y)`.
        loss: From the last state (of both directions, joined) and the target to a number. Default None: the model's own
            `state_loss`, which `SequenceClassifier` has.
        per_direction: Keep the directions apart. Default False: their norms are joined.

    Shape:
        Returned: `[T]`, or `[D, T]` if `per_direction`; the steps are in the order of the sequence.

    Returns:
        The norms, detached. The model's own gradients stay as they are.

    Raises:
        ValueError: The model has no `unroll`; there is no loss; the loss does not depend on the states.

    Source:
        The course report's part 1.1, made a measurement; Pascanu, Mikolov & Bengio (2013).

    Example:
        >>> from gnnkit.sequence.classifier import SequenceClassifier
        >>> model = SequenceClassifier(10, 32, bidirectional=True)
        >>> gradient_flow(model, (torch.randint(10, (4, 9)), torch.randint(10, (4,)))).shape
        torch.Size([9])
    """
    if not hasattr(model, "unroll"):
        raise ValueError(
            f"{type(model).__name__} has no unroll(), so its states cannot be reached; gradient_flow needs one"
        )
    *inputs, target = batch
    if loss is None:
        loss = getattr(model, "state_loss", None)
    if loss is None:
        raise ValueError(
            f"{type(model).__name__} has no state_loss(last, target); give one, "
            "e.g. loss=lambda last, y: (model.head(last).transpose(1, 2) - y).square().mean()"
        )
    with torch.enable_grad():
        if hasattr(model, "unroll_directions"):
            directions = [list(states) for states in model.unroll_directions(*inputs)]
        else:
            directions = [list(model.unroll(*inputs))]
        # A direction's last state: the forward one's at the end of the sequence, the backward one's at its beginning.
        ends = [states[-1] if number == 0 else states[0] for number, states in enumerate(directions)]
        value = loss(torch.cat(ends, dim=-1) if len(ends) > 1 else ends[0], target)
        flat = [state for states in directions for state in states]
        if not all(state.requires_grad for state in flat):
            raise ValueError("the states need gradients: some state depends on no parameter that is learned")
        found = torch.autograd.grad(value, flat, allow_unused=True)
    missing = [i for i, gradient in enumerate(found) if gradient is None]
    if missing:
        raise ValueError(
            f"the loss does not depend on {len(missing)} of {len(flat)} states: unroll() must give the tensors that "
            "the next states are computed from, and a model that reads in two directions must offer unroll_directions()"
        )
    norms = torch.stack([gradient.norm() for gradient in found]).view(len(directions), -1)
    return norms if per_direction else norms.square().sum(dim=0).sqrt()


def _check_network(
    x: Tensor, target: Tensor, w_hx: Tensor, w_hh: Tensor, b_h: Tensor, w_ph: Tensor, b_p: Tensor, h_0: Tensor | None
) -> None:
    if x.dim() != 3 or 0 in x.shape:
        raise ValueError(f"x must have shape [B, T, F] with B and T at least 1, got {list(x.shape)}")
    batch, features = x.size(0), x.size(2)
    channels, classes = w_hh.size(0), w_ph.size(0)
    expected = {
        "w_hx": (w_hx, [channels, features]),
        "w_hh": (w_hh, [channels, channels]),
        "b_h": (b_h, [channels]),
        "w_ph": (w_ph, [classes, channels]),
        "b_p": (b_p, [classes]),
        "target": (target, [batch]),
    }
    if h_0 is not None:
        expected["h_0"] = (h_0, [batch, channels])
    for name, (tensor, shape) in expected.items():
        if list(tensor.shape) != shape:
            raise ValueError(f"{name} must have shape {shape} to fit x, w_hh and w_ph, got {list(tensor.shape)}")
    if int(target.min()) < 0 or int(target.max()) >= classes:
        raise ValueError(f"target holds a class outside 0 ... {classes - 1}, the rows of w_ph")
