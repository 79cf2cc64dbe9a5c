"""Where the keys of a TOML document stand."""

import tomllib

import pytest

from gnnkit.compare.spec.toml_lines import key_lines

DOCUMENT = '''# a comment = 1

epochs = 3 # seeds = 4
"models" = [
  "gru",  # one
  "a, b] = 'c'",
]
text = """
loss = "mae"
"""
gru.dropout = 0.1
point = { x = 1, y = { z = [2,
  3] } }

[settings.mtgnn]
dropout = 0.3
layers = 2

[settings."odd.name"]
'a b' = true

[[runs]]
name = 'first'
[[runs]]
name = "second \\" = 1"
when = 2024-01-01 10:00:00
'''


def paths(value, path=()):
    if isinstance(value, dict):
        return [path, *(p for name, item in value.items() for p in paths(item, (*path, name)))]
    if isinstance(value, list):
        return [path, *(p for number, item in enumerate(value) for p in paths(item, (*path, number)))]
    return [path]


def test_every_key_table_and_item_has_its_line():
    lines = key_lines(DOCUMENT)
    assert lines[("epochs",)] == 3
    assert [lines[("models",)], lines[("models", 0)], lines[("models", 1)]] == [4, 5, 6]
    assert lines[("text",)] == 8
    assert ("loss",) not in lines
    assert lines[("gru", "dropout")] == 11
    assert [lines[("point", "x")], lines[("point", "y", "z", 0)], lines[("point", "y", "z", 1)]] == [12, 12, 13]
    assert [lines[("settings", "mtgnn")], lines[("settings", "mtgnn", "layers")]] == [15, 17]
    assert lines[("settings", "odd.name", "a b")] == 20
    assert [lines[("runs", 0, "name")], lines[("runs", 1, "name")], lines[("runs", 1, "when")]] == [23, 25, 26]


def test_the_keys_are_those_that_the_reader_finds():
    assert set(key_lines(DOCUMENT)) == set(paths(tomllib.loads(DOCUMENT))) - {()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = []",
        "a = {}",
        "a.b.c = 1",
        "a . b = 1",
        "a = [[1, 2], [], [{x = 1}]]",
        "a = ''''it's'''''",
        'a = """"quoted" """',
        "a = 'x'\n\n\n[t]\n[t.u]",
        'a = "\\""\nb = 1e5\nc = +inf\nd = 07:32:00',
        "a = [ # x ]\n 1, # y\n]\nb = 2",
    ],
)
def test_odd_documents(text):
    assert set(key_lines(text)) == set(paths(tomllib.loads(text))) - {()}
