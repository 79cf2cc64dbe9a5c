"""Peak memory of a piece of work."""

from pathlib import Path

import torch

__all__ = ["PeakMemory"]


class PeakMemory:
    """Largest memory since it was made: of the tensors on a CUDA device, else of the whole process."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif Path("/proc/self/clear_refs").exists():
            # Linux keeps the peak since the process began; "5" starts it anew: one fit must not inherit another's.
            try:
                Path("/proc/self/clear_refs").write_text("5")
            except OSError:
                return

    def megabytes(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        status = Path("/proc/self/status")
        if status.exists():
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 2**10
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
