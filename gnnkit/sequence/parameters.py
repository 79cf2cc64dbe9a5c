"""How many numbers a network learns."""

from __future__ import annotations

from torch import nn

from gnnkit.sequence._contract import check_size

__all__ = ["count_parameters", "lstm_parameters"]


def count_parameters(model: nn.Module, *, trainable_only: bool = True) -> int:
    """Count the entries of a model's parameters, each shared one once.

    Args:
        model: Any module.
        trainable_only: Leave out those that are held fixed, such as the second bias of torch's LSTM in
            `gnnkit.sequence.LSTM`. Default True.

    Returns:
        The count.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def lstm_parameters(in_channels: int, hidden_channels: int, out_channels: int) -> int:
    """Parameters of one LSTM with a linear output layer: `4 (N_in N_h + N_h^2 + N_h) + N_h N_out + N_out`.

    Each of the four gates has a matrix for the input, one for the state, and one bias. torch's own `nn.LSTM` has a
    second bias a gate, so 4 N_h more; embeddings and learned initial states come on top.

    Args:
        in_channels: N_in, features of a step.
        hidden_channels: N_h, width of the state.
        out_channels: N_out, outputs of the linear layer.

    Returns:
        The count.

    Raises:
        ValueError: A size is below 1.

    Source:
        The course report's part 1.

    Example:
        >>> lstm_parameters(1, 128, 10)
        67850
    """
    n_in, n_h = check_size("in_channels", in_channels), check_size("hidden_channels", hidden_channels)
    n_out = check_size("out_channels", out_channels)
    return 4 * (n_in * n_h + n_h**2 + n_h) + n_h * n_out + n_out
