"""The device that a name stands for."""

from __future__ import annotations

import torch

__all__ = ["resolve_device"]


def resolve_device(device: str) -> torch.device:
    """The torch device that a name stands for; `"auto"`: CUDA where there is one, else the CPU.

    Raises:
        ValueError: the name is not a device's, or the device is not on this machine.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device is {device!r}; choose auto, cpu, cuda, cuda:0 … or mps") from None
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= count:
            raise ValueError(f"device is {device!r}, but this machine has {count} CUDA devices; choose auto or cpu")
    elif found.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(f"device is {device!r}, but this machine has no Apple GPU; choose auto or cpu")
    elif found.type != "cpu":
        raise ValueError(f"device is {device!r}; choose auto, cpu, cuda, cuda:0 … or mps")
    return torch.device("cpu") if found.type == "cpu" else found
