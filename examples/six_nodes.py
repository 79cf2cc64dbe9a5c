"""How far does news travel on a graph? Six nodes, up to four graph convolutions, and a picture.

    python examples/six_nodes.py [picture.png]

A layer of a graph network moves news by one edge, so E hears of C only when the network is four layers deep.
"""

import sys

import torch

from gnnkit.graph import (
    draw_receptive_field,
    hop_distances,
    receptive_field,
    shortest_paths,
    six_node_graph,
    to_dense,
    updates_needed,
)
from gnnkit.layers import GCNLayer


def main(picture: str | None = None) -> None:
    torch.manual_seed(0)
    graph = six_node_graph()
    names = graph.node_names

    print("The adjacency matrix, each node linked to itself:")
    for name, row in zip(names, to_dense(graph.edge_index, graph.edge_weight, 6).int().tolist(), strict=True):
        print(f"  {name}  {' '.join(map(str, row))}")

    c, e = names.index("C"), names.index("E")
    print("\nEdges between C and the others:")
    distances = hop_distances(graph.edge_index, [c], num_nodes=6)[0].tolist()
    print("  " + ", ".join(f"{name} {distance}" for name, distance in zip(names, distances, strict=True)))

    print(f"\nNews from C reaches E after {updates_needed(graph, 'C', 'E')} updates:")
    for path in shortest_paths(graph, "C", "E"):
        print("  " + " - ".join(path))

    print("\nMeasured: how much E's output changes with each node's input (a gradient, random weights)")
    print("  layers" + "".join(f"{name:>8}" for name in names))
    layers = []
    for depth in range(1, 5):
        layers.append(GCNLayer(8, 8))
        influence = receptive_field(layers, torch.ones(6, 8), graph.edge_index, nodes=[e])[0]
        print(f"  {depth:6}" + "".join(f"{value:8.3f}" for value in influence.tolist()))
    print("With three layers C's column is 0: E cannot know of C, however long it trains.")

    # Without a message to oneself, nodes with the same neighbours become the same, whatever they were before.
    print("\nNodes 0 and 1 start as 1 and 5; both hear of nodes 2 and 3 alone (10 and 20):")
    edges, x = torch.tensor([[2, 3, 2, 3], [0, 0, 1, 1]]), torch.tensor([[1.0], [5.0], [10.0], [20.0]])
    for words, layer in (
        ("mean of the neighbours", GCNLayer(1, 1, normalize=False, bias=False, aggr="mean")),
        ("GCN, which adds oneself", GCNLayer(1, 1, bias=False)),
    ):
        torch.nn.init.ones_(layer.lin.weight)
        first, second = layer(x, edges)[:2].flatten().tolist()
        print(f"  {words:24} -> {first:.2f} and {second:.2f}")

    if picture is not None:
        draw_receptive_field(graph, "E", source="C").savefig(picture, dpi=150)
        print(f"\nDrawn in {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
