"""Knowledge graphs from text files."""

import pytest
import torch

from gnnkit.data import load_triples


def write(folder, **parts):
    folder.mkdir(exist_ok=True)
    for name, text in parts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_folder_with_its_own_split(tmp_path):
    folder = write(tmp_path / "umls", train="b\tr1\ta\na\tr0\tc\n", valid="c\tr1\tb\n", test="a b\tr0\tc\n\n")
    triples, split, left_out = load_triples(folder)
    assert triples.entities == ("a", "a b", "b", "c")
    assert triples.relations == ("r0", "r1")
    assert split.train.t().tolist() == [[2, 1, 0], [0, 0, 3]]
    assert split.val.t().tolist() == [[3, 1, 2]]
    assert split.test.t().tolist() == [[1, 0, 3]]
    assert not any(left_out.values())
    assert triples.name == "umls"


def test_numbers_are_in_the_order_of_numbers(tmp_path):
    folder = write(tmp_path / "ids", train="10 0 9\n9 1 2\n", valid="2 0 10\n", test="2 1 10\n")
    triples = load_triples(folder)[0]
    assert triples.entities == ("2", "9", "10")
    assert triples.triples[:, 0].tolist() == [2, 0, 1]


def test_bad_rows_are_counted_or_refused(tmp_path):
    text = "a\tr\tb\na\tr\n\na\tr\tb\nb\tr\ta\nc\tr\tc\na\tr\tc\n"
    file = tmp_path / "kg.tsv"
    file.write_text(text)
    triples, split, left_out = load_triples(file, symmetric=True)
    assert left_out == {"malformed": 1, "duplicate": 2, "self-pair": 1}
    assert triples.triples.t().tolist() == [[0, 0, 1], [0, 0, 2]]
    assert split.train.size(1) == 2
    assert load_triples(file).left_out == {"malformed": 1, "duplicate": 1, "self-pair": 0}
    with pytest.raises(ValueError, match="1 malformed rows, 2 duplicate rows, 1 self-pair rows; mend the files"):
        load_triples(file, symmetric=True, strict=True)


def test_what_is_not_there(tmp_path):
    folder = write(tmp_path / "half", train="a\tr\tb\n")
    with pytest.raises(FileNotFoundError, match=r"no valid.txt"):
        load_triples(folder)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_triples(tmp_path / "nowhere")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="no row holds head, relation and tail"):
        load_triples(tmp_path / "empty.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file"):
        load_triples(tmp_path / "binary.txt")


LAYOUTS = {
    # As published: names between tabs; the same in Kinship; WordNet's numbers with leading zeros; Freebase's paths.
    "umls": ("acquired_abnormality\tlocation_of\texperimental_model_of_disease\n", "alga\tisa\tentity\n", "isa"),
    "kinship": ("person85\tterm21\tperson84\n", "person9\tterm1\tperson10\n", "term1"),
    "WN18RR": ("00260881\t_hypernym\t00260622\n", "01332730\t_derivationally_related_form\t03122748\n", "_hypernym"),
    "FB15k-237": (
        "/m/027rn\t/location/country/form_of_government\t/m/06cx9\n",
        "/m/07s9rl0\t/media_common/netflix_genre/titles\t/m/0170z3\n",
        "/media_common/netflix_genre/titles",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_four_published_layouts(tmp_path, name):
    first, second, relation = LAYOUTS[name]
    folder = write(tmp_path / name, train=first, valid=second, test=second.replace("\n", "x\n"))
    triples, split, left_out = load_triples(folder)
    back = [
        "\t".join((triples.entities[head], triples.relations[kind], triples.entities[tail])) + "\n"
        for head, kind, tail in torch.cat([split.train, split.val, split.test], 1).t().tolist()
    ]
    assert back == [first, second, second.replace("\n", "x\n")]
    assert [part.size(1) for part in (split.train, split.val, split.test)] == [1, 1, 1]
    assert relation in triples.relations
    assert not any(left_out.values())
