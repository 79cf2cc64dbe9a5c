import math

import pandas as pd
import pytest
import torch

from gnnkit.data.own_places import read_places

NAMES = ["a", "b", "c"]
KM = math.pi * 6371.0088 / 180
"""A degree of latitude."""


def write(folder, text, name="places.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def distances(found):
    return found.distance[[0, 0, 1], [1, 2, 2]].tolist()


@pytest.mark.parametrize(
    "text",
    [
        "node,latitude,longitude\na,10,20\nb,11,20\nc,12,20\n",
        "\ufeffStation;Lon;Lat\nc;20,0;12,0\na;20,0;10,0\nb;20,0;11,0\n",
        "lat,lng,name,height\n11,20,b,5\n10,20,a,5\n12,20,c,5\n50,60,other,7\n",
        "latitude,longitude\n10,20\n11,20\n12,20\n",
        "id,x_deg,y_deg\na,20,10\nb,20,11\nc,20,12\n",
    ],
    ids=[
        "plain",
        "semicolons, byte order mark, decimal commas",
        "more columns and places",
        "no names",
        "degrees by title",
    ],
)
def test_degrees_whatever_they_are_called(tmp_path, text):
    found = read_places(write(tmp_path, text), NAMES, None, [])
    assert distances(found) == pytest.approx([KM, 2 * KM, KM])
    assert found.positions[:, 0].tolist() == pytest.approx([0.0] * 3, abs=1e-4)
    assert found.positions[:, 1].tolist() == pytest.approx([-KM, 0, KM], rel=1e-5)


@pytest.mark.parametrize(
    ("head", "unit", "scale"),
    [
        ("node,x,y", "km", 1),
        ("node,x,y", "m", 1e-3),
        ("node,x_km,y_km", None, 1),
        ("node,Easting,Northing", None, 1e-3),
        ("node,easting (km),northing (km)", None, 1),
        ("station,longitude,latitude", "km", 1),
    ],
)
def test_coordinates_of_a_map(tmp_path, head, unit, scale):
    notes = []
    found = read_places(write(tmp_path, f"{head}\na,400,300\nb,403,304\nc,400,304\n"), NAMES, unit, notes)
    assert distances(found) == pytest.approx([5 * scale, 4 * scale, 3 * scale])
    assert (found.positions[1] - found.positions[0]).tolist() == pytest.approx([3 * scale, 4 * scale])
    assert notes == (["places.csv: 'Easting' and 'Northing' are taken as metres."] if "Easting" in head else [])


def test_frames(tmp_path):
    frame = pd.DataFrame({"lat": [10.0, 11.0, 12.0], "lon": 20.0}, index=pd.Index(["a", "b", "c"], name="node"))
    frame.to_parquet(tmp_path / "places.parquet")
    for source in (frame, frame.reset_index(), tmp_path / "places.parquet"):
        assert distances(read_places(source, NAMES, None, [])) == pytest.approx([KM, 2 * KM, KM])
    with pytest.raises(TypeError, match="places: a list is none; give a path or a data frame with a row a node"):
        read_places([1, 2], NAMES, None, [])


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        (
            "node,lat,lon\na,1,2\nb,1,3\nd,1,4\n",
            None,
            "places.csv: node 'c' has no place (1 of 3 nodes have none); there are 'a', 'b', 'd'",
        ),
        (
            "node,lat,lon\na,1,2\nb,400,3\nc,1,4\n",
            None,
            "places.csv: line 3, column 2 ('lat'): 400 is no latitude, which lies between -90 and 90; if the columns "
            "are of a map, give --places-unit m or km",
        ),
        (
            "node,lat,lon\na,1,2\nb,1,3\na,1,5\nc,1,4\n",
            None,
            "places.csv: 'a' has two places, on lines 2 and 4; keep one",
        ),
        (
            "node,x,y\na,1,2\nb,1,3\nc,1,4\n",
            None,
            "places.csv: 'x' and 'y' have no unit; give --places-unit degrees (x is the longitude), m or km",
        ),
        (
            "node,lat,lon\na,1,2\nb,1,2\nc,1,2\n",
            None,
            "places.csv: all 3 nodes are at one place, lon 2 and lat 1; give each node its own place",
        ),
        (
            "node,lat,lon\na,1,2\nb,,3\nc,1,4\n",
            None,
            "line 3, column 2 ('lat'): node 'b' has no number there; give its",
        ),
        (
            "node,here,there\na,1,2\n",
            None,
            "no columns of places among 'node', 'here', 'there'; call them node, latitude",
        ),
        ("node,lat,latitude,lon\na,1,1,2\n", None, "the columns 'lat', 'latitude' could each be the same coordinate;"),
        ("a,1,2\nb,1,3\nc,1,4\n", None, "no columns of places among 'a', '1', '2'; call them node, latitude and"),
        ("1,2\n1,3\n", None, "places.csv: its first line has no titles; write node,latitude,longitude above its rows"),
        (
            "lat,lon\n1,2\n1,3\n",
            None,
            "no column names the nodes, and there are 2 rows for 3 nodes; give a column node",
        ),
        (
            "node,lat,lon\na,1,2\nb,north,3\nc,1,4\n",
            None,
            "line 3, column 2 ('lat'): 'north' is not a number; write one",
        ),
        ("node,x,y\na,1,2\n", "miles", "places_unit='miles': give one of degrees, m, km"),
    ],
)
def test_what_is_no_place_is_told_in_one_line(tmp_path, text, unit, message):
    with pytest.raises(ValueError) as caught:
        read_places(write(tmp_path, text), NAMES, unit, [])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_nodes_are_passed_over(tmp_path):
    notes = []
    read_places(write(tmp_path, "node,lat,lon\nz,9,9\na,1,2\nb,1,3\nc,1,4\n"), NAMES, None, notes)
    assert notes == ["places.csv: 1 places of other nodes are passed over."]
    alone = read_places(pd.DataFrame({"node": ["a", "b"], "x": [0, 3], "y": [0, 4]}), ["b", "a"], "km", [])
    assert torch.equal(alone.distance, torch.tensor([[0.0, 5.0], [5.0, 0.0]], dtype=torch.float64))
