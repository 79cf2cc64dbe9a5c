"""A small data set in Planetoid's layout, and its eight files."""

import collections
import pickle

import numpy as np
import scipy.sparse as sp

KNOWN = 9 + 500 + 3  # training, validation, and others


def toy_parts(name="cora"):
    """What the files hold: three classes, six features, four test nodes; two of CiteSeer's nodes have no row."""
    draw = np.random.default_rng(0)
    numbers = [KNOWN + 2, KNOWN, KNOWN + 3, KNOWN + 1]  # of the tests, in the order of their rows
    if name == "citeseer":
        numbers[2] = KNOWN + 5  # KNOWN + 3 and KNOWN + 4 are nowhere
    labels = np.arange(KNOWN + len(numbers)) % 3
    features = sp.csr_matrix((draw.random((labels.size, 6)) < 0.5).astype(np.float32))
    once = np.eye(3, dtype=np.int32)[labels]
    return {
        "x": features[:9],
        "y": once[:9],
        "allx": features[:KNOWN],
        "ally": once[:KNOWN],
        "tx": features[KNOWN:],
        "ty": once[KNOWN:],
        "graph": collections.defaultdict(list, {0: [1], 1: [0, numbers[0]], numbers[0]: [1]}),
        "test.index": "\n".join(map(str, numbers)) + "\n",
    }


def write_parts(folder, name, parts, protocol=3):
    """Write the files; bytes are written as they are."""
    folder.mkdir(exist_ok=True)
    for part, value in parts.items():
        content = value.encode() if part == "test.index" and isinstance(value, str) else value
        content = content if isinstance(content, bytes) else pickle.dumps(value, protocol=protocol)
        (folder / f"ind.{name}.{part}").write_bytes(content)
    return folder
