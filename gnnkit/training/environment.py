"""Where and with what a figure was measured: what every row of results has to say."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import gnnkit
from gnnkit.training.ranks import current_ranks

__all__ = ["commit", "environment", "hardware"]


def commit() -> str:
    """The commit of the checkout that gnnkit runs from, abbreviated; `-dirty` behind it when its code was changed.

    Returns:
        `"unknown"` when gnnkit does not run from a git checkout of its own, e.g. when it is installed.
    """
    package = Path(gnnkit.__file__).resolve().parent
    root = _git(package, "rev-parse", "--show-toplevel")
    # An installed gnnkit may lie inside some other project's repository: that one's commit says nothing about it.
    if not root or Path(root).resolve() != package.parent:
        return "unknown"
    head = _git(package, "rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", ":/gnnkit")
    return f"{head}-dirty" if changed else head


def hardware(device: torch.device | str = "cpu") -> str:
    """The name of the processor, or of the GPU, that `device` means.

    Example:
        >>> hardware() != ""
        True
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # no Linux: the standard library's answer has to do
        pass
    return platform.processor() or platform.machine() or "unknown"


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a row of results says about the machine and the versions.

    Args:
        device: what the work runs on.

    Returns:
        `device`, `hardware`, `cores`, `threads` (torch's, on the CPU), `torch`, `python`, `gnnkit`, `commit`,
        `date` (UTC), and `ranks` where several processes train together, all JSON values.

    Example:
        >>> environment()["device"]
        'cpu'
    """
    device, ranks = torch.device(device), current_ranks()
    return {
        **({} if ranks is None else {"ranks": ranks.count}),
        "device": device.type,
        "hardware": hardware(device),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gnnkit": gnnkit.__version__,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _git(directory: Path, *arguments: str) -> str:
    """What git prints, or nothing when it is not there or fails."""
    try:
        run = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
