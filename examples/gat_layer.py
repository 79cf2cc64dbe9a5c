"""A graph attention layer in place of PyG's: same arguments, same weights, same output.

    python examples/gat_layer.py

The layer is put on the six-node graph and asked whom node A listens to.
"""

import torch
from torch_geometric.nn import GATConv

from gnnkit.graph import six_node_graph
from gnnkit.layers import GATLayer


class WithoutAttention(GATLayer):
    """What is left of GAT when its attention weights are left out of the update: a plain sum."""

    def message(self, x_j, alpha):
        return x_j


def main() -> None:
    torch.manual_seed(0)
    graph = six_node_graph()
    x = torch.randn(graph.num_nodes, 16)

    layer = GATLayer(16, 8, heads=2)
    out, (edges, attention) = layer(x, graph.edge_index, return_attention_weights=True)
    print(layer)
    print(f"{tuple(x.shape)} features in, {tuple(out.shape)} out (2 heads of 8)")

    print("\nWhom node A listens to, each head for itself:")
    to_a = edges[1] == 0
    for sender, weights in zip(edges[0, to_a].tolist(), attention[to_a].tolist(), strict=True):
        print(f"  {graph.node_names[sender]}  " + "  ".join(f"{weight:.3f}" for weight in weights))
    print("  sum " + "  ".join(f"{total:.3f}" for total in attention[to_a].sum(0).tolist()))

    conv = GATConv(16, 8, heads=2)
    conv.load_state_dict(layer.state_dict())
    difference = (conv(x, graph.edge_index) - out).abs().max().item()
    print(f"\nPyG's GATConv with the same weights: largest difference {difference:.0e}")

    # Is it still GAT when the attention weights are left out of the update? Change the attention and look.
    print("\nOutput of A, channel 1, before and after its attention vectors are turned round:")
    plain = WithoutAttention(16, 8, heads=2)
    plain.load_state_dict(layer.state_dict())
    for words, model in (("GAT", layer), ("without attention", plain)):
        before = model(x, graph.edge_index)[0, 0].item()
        with torch.no_grad():
            model.att_src.neg_()
        after = model(x, graph.edge_index)[0, 0].item()
        print(f"  {words:18} {before:7.3f} -> {after:7.3f}")
    print("Without them the attention does nothing: that update is a plain sum, not GAT.")


if __name__ == "__main__":
    main()
