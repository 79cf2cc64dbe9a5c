"""Seeding, the fit loop, early stop and checkpoints. Knows no model by name."""

from gnnkit.training.checkpoint import load_checkpoint, save_checkpoint
from gnnkit.training.fit import EpochRecord, FitResult, TrainingSettings, fit, predict, resolve_device
from gnnkit.training.links import BudgetFit, BudgetSettings, fit_within_budget
from gnnkit.training.progress import (
    FitProgress,
    MatrixLines,
    MatrixProgress,
    ProgressBars,
    open_matrix,
    open_progress,
)
from gnnkit.training.seeding import isolated_seed, seed_everything, shuffled_batches
from gnnkit.training.snapshot import load_snapshot, replace_file, save_snapshot
from gnnkit.training.together import fit_together

__all__ = [
    "BudgetFit",
    "BudgetSettings",
    "EpochRecord",
    "FitProgress",
    "FitResult",
    "MatrixLines",
    "MatrixProgress",
    "ProgressBars",
    "TrainingSettings",
    "fit",
    "fit_together",
    "fit_within_budget",
    "isolated_seed",
    "load_checkpoint",
    "load_snapshot",
    "open_matrix",
    "open_progress",
    "predict",
    "replace_file",
    "resolve_device",
    "save_checkpoint",
    "save_snapshot",
    "seed_everything",
    "shuffled_batches",
]
