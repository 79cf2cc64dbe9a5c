"""gnnkit's operators in torch's own words: the same numbers, and nothing of gnnkit left in a program."""

import pytest
import torch
from torch import nn

from gnnkit.ops import edge_attention, gated_recurrence, spmm
from gnnkit.ops.exported import plain_operators

EDGES = torch.tensor([[0, 1, 2, 2, 3, 3], [1, 2, 1, 1, 3, 0]])


class Op(nn.Module):
    """One op, as a module."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, *inputs):
        return self.run(*inputs)


CASES = {
    "spmm": (lambda edges, x, weight: spmm(edges, x, weight, reduce="mean"), (EDGES, torch.rand(4, 3), torch.rand(6))),
    "edge_attention": (edge_attention, (EDGES, torch.rand(4, 2, 3), torch.rand(4, 2), torch.rand(4, 2))),
    "gated_recurrence": (
        gated_recurrence,
        (torch.rand(2, 3, 4, 1), torch.rand(2, 4, 5), torch.rand(1, 15), torch.rand(5, 15)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_program_of_torchs_operators_gives_the_same(name):
    run, inputs = CASES[name]
    program = torch.export.export(Op(run), inputs)
    assert [node for node in program.graph.nodes if f"gnnkit.{name}" in str(node.target)]
    plain = program.run_decompositions(plain_operators())
    assert not [node for node in plain.graph.nodes if "gnnkit" in str(node.target)]
    torch.testing.assert_close(plain.module()(*inputs), run(*inputs))
