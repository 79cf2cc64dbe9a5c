"""Series on graphs: data sets, your own files, chronological splits, scalers and windows."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.data.clock import clock_features, row_time, told_weekdays
    from gnnkit.data.combinations import Combinations, EndlessCombinations, RandomCombinations, random_combinations
    from gnnkit.data.decagon import DecagonData, load_decagon
    from gnnkit.data.defaults import Inferred, infer_settings, window_sizes
    from gnnkit.data.degrade import hide_in_outages, hide_values, latest_training_rows
    from gnnkit.data.detectors import kernel_graph
    from gnnkit.data.node_features import read_node_features
    from gnnkit.data.own import read_own
    from gnnkit.data.registry import DATASETS, Dataset, load, los_loop, metr_la, pems_bay
    from gnnkit.data.relations import Triples, TripleSplit, check_no_leak, split_by_relation
    from gnnkit.data.scaling import SCALERS, MaxScaler, Scaler, StandardScaler, fit_scaler
    from gnnkit.data.series import GraphSeries
    from gnnkit.data.simulate import simulate_traffic
    from gnnkit.data.splits import Split, chronological_split, rolling_splits
    from gnnkit.data.store import SeriesStore
    from gnnkit.data.text import TextSplit, TextWindows, WindowBatch, read_text, split_text, text_digest
    from gnnkit.data.triples import LoadedTriples, load_triples
    from gnnkit.data.windows import Batch, Windows, WindowSplits, make_windows
else:
    import_lazily(__name__)

__all__ = [
    "DATASETS",
    "SCALERS",
    "Batch",
    "Combinations",
    "Dataset",
    "DecagonData",
    "EndlessCombinations",
    "GraphSeries",
    "Inferred",
    "LoadedTriples",
    "MaxScaler",
    "RandomCombinations",
    "Scaler",
    "SeriesStore",
    "Split",
    "StandardScaler",
    "TextSplit",
    "TextWindows",
    "TripleSplit",
    "Triples",
    "WindowBatch",
    "WindowSplits",
    "Windows",
    "check_no_leak",
    "chronological_split",
    "clock_features",
    "fit_scaler",
    "hide_in_outages",
    "hide_values",
    "infer_settings",
    "kernel_graph",
    "latest_training_rows",
    "load",
    "load_decagon",
    "load_triples",
    "los_loop",
    "make_windows",
    "metr_la",
    "pems_bay",
    "random_combinations",
    "read_node_features",
    "read_own",
    "read_text",
    "rolling_splits",
    "row_time",
    "simulate_traffic",
    "split_by_relation",
    "split_text",
    "text_digest",
    "told_weekdays",
    "window_sizes",
]
