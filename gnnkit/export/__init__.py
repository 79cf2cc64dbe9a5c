"""A fitted thing as one file that runs without gnnkit: a program of torch, or of ONNX, checked when it is written."""

from gnnkit.export.classifier import classifier_export
from gnnkit.export.files import export_folder, export_to
from gnnkit.export.forecaster import forecaster_export
from gnnkit.export.program import Export, ExportError, Value, export_program

__all__ = [
    "Export",
    "ExportError",
    "Value",
    "classifier_export",
    "export_folder",
    "export_program",
    "export_to",
    "forecaster_export",
]
