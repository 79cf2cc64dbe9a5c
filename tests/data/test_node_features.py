import pytest
import torch

from gnnkit.data import read_node_features

NAMES = ("a", "b", "c")


def read(tmp_path, text, names=NAMES):
    (tmp_path / "sensors.csv").write_text(text)
    return read_node_features(tmp_path / "sensors.csv", names)


@pytest.mark.parametrize("titles", ["", "sensor,lat,lanes,kind\n"])
def test_features_by_name_in_the_order_of_the_series(tmp_path, titles):
    found = read(tmp_path, titles + "c,30,2,1\nother,99,,9\na,10,2,1\nb,20,2,4\n")
    # (10, 20, 30): mean 20, deviation sqrt(200 / 3); the same for all: 0; (1, 4, 1): mean 2, deviation sqrt(2).
    one, two = 10 / (200 / 3) ** 0.5, 2**0.5
    expected = torch.tensor([[-one, 0, -1 / two], [0, 0, 2 / two], [one, 0, -1 / two]])
    torch.testing.assert_close(found, expected)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1\nb,2\n", "sensors.csv: 1 of 3 nodes have no line: 'c'"),
        ("a,1\nb,2\nc,3\nb,4\n", "sensors.csv: line 4: node 'b' stands there a second time"),
        ("a,1\nb,\nc,3\n", "sensors.csv: line 2: a number is missing; fill it in, or leave out its column"),
        ("a,1\nb,north\nc,3\n", "sensors.csv: line 2, column 2: 'north' is not a number"),
        ("a\nb\nc\n", "sensors.csv: one column; give the nodes' names in the first"),
        ("node,lat\n", "sensors.csv: titles and no line below them"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)
    with pytest.raises(FileNotFoundError, match="node features"):
        read_node_features(tmp_path / "nowhere.csv", NAMES)
