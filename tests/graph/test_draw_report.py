import json

import networkx as nx
import pytest
import torch

from gnnkit.graph import draw_report, report_graph, six_node_graph, write_report


def test_four_panels_with_the_numbers_of_the_report():
    report = report_graph(nx.barbell_graph(5, 2))
    degrees, hops, field, curvature = draw_report(report).axes
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in degrees.patches}
    assert heights == {2: 2, 4: 8, 5: 2}
    assert [bar.get_height() for bar in hops.patches] == report.fields.hop_histogram().tolist()
    assert field.lines[0].get_ydata().tolist() == report.fields.median().tolist()
    assert sum(bar.get_height() for bar in curvature.patches) == report.curvature.numel()


def test_many_degrees_and_no_edges():
    assert draw_report(report_graph(nx.star_graph(60))).axes[0].get_xscale() == "log"
    graph = nx.Graph()
    graph.add_node(0)
    assert len(draw_report(report_graph(graph)).axes) == 4


def test_a_report_is_three_files(tmp_path):
    report = report_graph(six_node_graph(self_loops=False))
    write_report(report, tmp_path / "new")
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert document["diameter"] == [4, 4]
    assert document["degree_histogram"] == torch.bincount(report.in_degree).tolist()
    assert (tmp_path / "new" / "report.png").stat().st_size > 10_000
    assert (tmp_path / "new" / "report.txt").read_text().splitlines()[0] == "nodes           6"
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; give a folder"):
        write_report(report, tmp_path / "file")


def test_a_folder_of_others_is_not_written_to(tmp_path):
    found = report_graph(six_node_graph())
    (tmp_path / "report.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files \(report\.\*\); give a new or an empty folder"):
        write_report(found, tmp_path)
    assert (tmp_path / "report.txt").read_text() == "mine"
    (tmp_path / "report.txt").unlink()
    write_report(found, tmp_path)
    write_report(found, tmp_path)  # a former one is replaced
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds other files \(thesis\.tex\)"):
        write_report(found, tmp_path)
