"""PyG's own tests on gnnkit's layers, where a checkout of PyG is named; and that their names are changed rightly."""

import os

import pytest

from tests.layers import pyg_suite

SOURCE = """
import torch
from torch_geometric.nn import (
    GCNConv,
    ARMAConv,
)
from torch_geometric.nn.conv.gcn_conv import gcn_norm

def test(cls=GCNConv):
    from torch_geometric.nn import PairNorm as Norm
    assert str(GCNConv(1, 2)) == 'GCNConv(1, 2)' and 'x.GCNConv_propagate' and DenseGCNConv
    table = '| GCNConv   | 3 |'
"""


def test_names_and_imports_are_gnnkits_and_tables_keep_their_columns():
    found = pyg_suite.with_our_names(SOURCE)
    assert "from gnnkit.layers import GCNLayer\nfrom torch_geometric.nn import ARMAConv\n" in found
    assert "    from gnnkit.layers import PairNorm as Norm\n" in found
    assert "str(GCNLayer(1, 2)) == 'GCNLayer(1, 2)' and 'x.GCNLayer_propagate' and DenseGCNConv" in found
    assert "'| GCNLayer  | 3 |'" in found
    assert "from torch_geometric.nn.conv.gcn_conv import gcn_norm" in found


def test_what_fails_is_a_fault_unless_it_is_known_or_fails_with_pyg_too(monkeypatch):
    monkeypatch.setattr(pyg_suite, "EXCEPTIONS", {"a.py::known": "for a reason", "a.py::mended": "no more"})
    ours = {f"a.py::{name}": ("failed", "why") for name in ("known", "new", "both")}
    ours |= {"a.py::mended": ("passed", ""), "a.py::fine[1]": ("passed", "")}
    table, faults = pyg_suite.judge(ours, {"a.py::both": ("failed", "too"), "a.py::new": ("passed", "")})
    assert faults == ["  a.py::new: why", "  a.py::mended passes, and stands in EXCEPTIONS; take it out"]
    assert table[1].split() == ["a.py", "2", "2", "0", "1"]
    assert "  a.py::known: is to fail: for a reason" in table


def test_a_folder_that_is_none_is_named(capsys):
    with pytest.raises(SystemExit):
        pyg_suite.main(["no/such/folder"])
    assert "no/such/folder is no folder; name a checkout of PyG" in capsys.readouterr().err


@pytest.mark.slow
def test_pygs_own_tests():
    checkout = os.environ.get("GNNKIT_PYG")
    if not checkout:
        pytest.skip("GNNKIT_PYG names no checkout of PyG (or git directory of it)")
    assert pyg_suite.main([checkout]) == 0
