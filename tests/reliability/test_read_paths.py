"""Every call of gnnkit that reads a file, unpacks one or runs text as code: a new one is looked at first."""

import ast
import functools
import re
from pathlib import Path

import pytest

import gnnkit

PACKAGE = Path(gnnkit.__file__).parent

#: What reads or runs, by the last part of a call's name, or by all of it; and what else it says.
READERS = re.compile(
    r"""^(
    (np|numpy)\.(load|loadtxt|genfromtxt|fromfile|memmap|fromregex) | .*\bnpy\.read_array
    | torch\.load | torch\.(jit|package|hub|export)\..*load.* | .*_?load_model | .*\.load_state_dict_from_url
    | .*\.read_(csv|table|parquet|pickle|feather|hdf|json|excel|html|xml|sql.*|stata|sas|orc|fwf|clipboard)
    | (pickle|cloudpickle|dill|marshal|shelve|joblib|yaml|jsonpickle)\.(loads?|open|Unpickler|_Unpickler|.*_load)
    | .*\.Unpickler | read_array | fromfile | memmap
    | h5py\.File | .*\.File | HDFStore
    | (gzip|bz2|lzma|zlib)\.(open|decompress|GzipFile|decompressobj|BZ2File|LZMAFile)
    | (zipfile\.)?ZipFile | (tarfile|tarfile\.TarFile)\.open | .*\.extract(all)? | .*unpack_archive
    | pooch\..* | .*urlretrieve | .*urlopen | requests\..* | httpx\..*
    | eval | exec | compile | __import__ | importlib\.import_module | .*\.exec_module | .*resolve_name | runpy\..*
    | os\.(system|popen|exec.*|spawn.*|posix_spawn) | subprocess\..* | safe_open | (.*\.)?load_file | pa\.memory_map
    | .*open_(stream|file) | input_stream | pa\.input_stream | .*\.Booster | multiprocessing\..*Listener
    )$""",
    re.VERBOSE,
)

#: File → call → how often it stands there, and why it may.
ALLOWED = {
    # Arrays: `read_arrays` compares the header of each with its bytes; objects are refused.
    "data/arrays.py": {"zipfile.ZipFile": 2, "npy.read_array": 1},
    "compare/forecasts/arrays.py": {"np.load": 1},  # one array, allow_pickle=False
    # Pickles of others: `read_pickled` looks up no name and calls nothing.
    "data/saved_tensors.py": {"zipfile.ZipFile": 1},
    # OGB's raw files, once `check_headers` and `check_gzip` have looked at them; and what is damaged among them.
    "data/ogb_nodes.py": {"pd.read_csv": 3, "gzip.open": 1, "zipfile.ZipFile": 1},
    # gzip: no more than `most_unpacked`.
    "data/packed.py": {"gzip.GzipFile": 1, "gzip.open": 1},
    # HDF5: nothing that leads out of the file, no objects.
    "data/pandas_hdf5.py": {"h5py.File": 1},
    # Text and Parquet, whose readers unpickle nothing.
    "data/edges.py": {"pd.read_csv": 1},
    # Published files, which have their SHA-256 or are fetched by hand; allow_pickle=False.
    "data/detectors.py": {"pd.read_csv": 2, "np.loadtxt": 1, "np.load": 2},
    "data/published.py": {"pd.read_csv": 6, "np.loadtxt": 2, "gzip.open": 1},
    "data/number_files.py": {"pd.read_csv": 1},
    "data/mapped.py": {"np.load": 1},
    "data/ogb_graphs.py": {"pd.read_csv": 1},
    "data/decagon.py": {"csv.read_csv": 1, "parquet.read_table": 1, "gzip.open": 1},
    "data/own_series.py": {"pd.read_parquet": 1},
    "data/own_places.py": {"pd.read_parquet": 1},
    "compare/forecasts/tables.py": {"csv.read_csv": 1, "parquet.read_table": 1, "pa.input_stream": 1},
    "compare/results.py": {"pd.read_csv": 1},
    "studies/text/study.py": {"pd.read_csv": 2},
    "studies/relations/study.py": {"pd.read_csv": 1},
    "serving/rows.py": {"pa.ipc.open_stream": 1},
    # Downloads: into a file of another name, with a checksum.
    "data/downloads.py": {"requests.get": 1},
    "data/files.py": {"pooch.create": 1, "pooch.HTTPDownloader": 1, "pooch.get_logger": 1}
    | {"pooch.get_logger().setLevel": 1},
    # safetensors.
    "kept_tensors.py": {"safe_open": 1},
    "training/checkpoint.py": {"load_model": 1},
    "temporal/exponential_smoothing.py": {"load_file": 1},
    "temporal/ridge.py": {"load_file": 1},
    "temporal/var.py": {"load_file": 1},
    "temporal/trees.py": {"library.Booster": 1},  # LightGBM's text
    # From this process, or one that it started and that made what it sends; never from a file.
    "compare/pool.py": {"pickle.loads": 1},
    "compare/shipping.py": {"pickle.loads": 2},
    "training/ranks.py": {"pickle.loads": 1},
    "compare/cluster_worker.py": {"pickle.loads": 1},  # from the scheduler that the user named
    # From a folder that the user alone can write, else it is not read (`KernelFiles`).
    "ops/kernels/cache.py": {"pickle.loads": 1},
    # Code that the user names; what a folder names runs with the user's word alone (`check_no_code`).
    "_registry.py": {"resolve_name": 1, "importlib.import_module": 1, "spec.loader.exec_module": 1},
    # Names that stand in the source.
    "_optional.py": {"importlib.import_module": 1},
    "_lazy.py": {"importlib.import_module": 1},
    "cli/options.py": {"resolve_name": 1},
    "ops/dispatch.py": {"importlib.import_module": 1, "requests.get": 2},  # a dictionary of requested backends
    "training/environment.py": {"subprocess.run": 1},  # git, for the commit
}


def dotted(node):
    """`a.b.c` of an expression; what is no name is an empty one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)}()"
    return node.id if isinstance(node, ast.Name) else ""


@functools.cache
def nodes():
    """Calls, with their names, and imports, of each file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        every = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [(dotted(node.func), node) for node in every if isinstance(node, ast.Call)]
        found[path] = names, [node for node in every if isinstance(node, (ast.Import, ast.ImportFrom))]
    return found


def calls(path):
    return nodes()[path][0]


def found_readers():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, _ in calls(path):
            if READERS.match(name):
                place = found.setdefault(path.relative_to(PACKAGE).as_posix(), {})
                place[name] = place.get(name, 0) + 1
    return found


def test_each_call_that_reads_a_file_is_known():
    assert found_readers() == ALLOWED


def test_no_array_is_unpickled_and_no_archive_is_unpacked_to_disk():
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, node in calls(path):
            keywords = {each.arg: ast.unparse(each.value) for each in node.keywords}
            assert keywords.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
            assert keywords.get("weights_only", "True") == "True", f"{path}:{node.lineno}"
            if name in ("np.load", "npy.read_array"):
                assert keywords.get("allow_pickle") == "False", f"{path}:{node.lineno}"
            assert not re.search(r"\.extract(all)?$|unpack_archive$", name), f"{path}:{node.lineno}"


def test_readers_are_called_by_their_whole_names():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes()[path][1]:
            if isinstance(node, ast.ImportFrom) and node.module in ("torch", "numpy", "pickle", "cloudpickle", "gzip"):
                names = {each.name for each in node.names}
                assert not names & {"load", "loads", "Unpickler", "fromfile", "loadtxt", "open", "decompress"}, path


@pytest.mark.parametrize("module", ["tarfile", "shelve", "marshal", "dill", "joblib", "runpy", "code", "xml", "yaml"])
def test_modules_that_read_more_than_data_are_not_imported(module):
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes()[path][1]:
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert module not in {name.partition(".")[0] for name in names}, path


def test_the_walk_finds_what_it_looks_for():
    text = (
        "import pickle, numpy as np\nnp.load(f)\npickle.loads(b)\nfrom x import y\ntorch.load(f)\narchive.extractall()"
    )
    found = [dotted(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert [name for name in found if READERS.match(name)] == found
