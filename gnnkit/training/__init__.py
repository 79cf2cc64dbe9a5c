"""Seeding, the fit loop, early stop and checkpoints. Knows no model by name."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.kept_files import replace_file
    from gnnkit.training.budget import BudgetFit, BudgetSettings, PassOrder, fit_within_budget
    from gnnkit.training.checkpoint import kept_beside, load_checkpoint, save_checkpoint
    from gnnkit.training.device import resolve_device
    from gnnkit.training.fit import EpochRecord, FitResult, TrainingSettings, fit, predict
    from gnnkit.training.progress import (
        FitListeners,
        FitProgress,
        MatrixLines,
        MatrixProgress,
        ProgressBars,
        open_matrix,
        open_progress,
    )
    from gnnkit.training.seeding import isolated_seed, seed_everything, shuffled_batches
    from gnnkit.training.snapshot import DamagedSnapshotWarning, Snapshots, load_snapshot, save_snapshot
else:
    import_lazily(__name__)

__all__ = [
    "BudgetFit",
    "BudgetSettings",
    "DamagedSnapshotWarning",
    "EpochRecord",
    "FitListeners",
    "FitProgress",
    "FitResult",
    "MatrixLines",
    "MatrixProgress",
    "PassOrder",
    "ProgressBars",
    "Snapshots",
    "TrainingSettings",
    "fit",
    "fit_within_budget",
    "isolated_seed",
    "kept_beside",
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
