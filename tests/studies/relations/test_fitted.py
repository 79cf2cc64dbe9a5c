"""A fitted predictor: the same answers from its folder, calibrated, by name."""

import dataclasses

import pytest
import torch

from gnnkit.kept_files import read_json, write_json
from gnnkit.kept_tensors import save_tensors
from gnnkit.relational import KnownLinks
from gnnkit.studies.relations.fitted import FittedLinks, load_fitted, make_fitted, rank_partners, rank_relations
from gnnkit.studies.relations.settings import recipe
from gnnkit.studies.relations.task import make_task
from gnnkit.studies.relations.training import scorer, train_model
from gnnkit.training import save_checkpoint

# So many passes, however slow the machine is; the minutes only end a run that hangs.
QUICK = {"minutes": 5, "epochs": 150, "validations": 2, "relations_per_step": 3, "channels": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def task(polypharmacy):
    return make_task(polypharmacy)


@pytest.fixture(scope="module")
def fitted(task) -> FittedLinks:
    settings = recipe("best", **QUICK)
    return make_fitted(train_model(task, settings)[0], task, settings)


def test_the_folder_gives_the_same_answers(task, fitted, tmp_path):
    fitted.save(tmp_path, {"note": "kept"})
    again, extra = load_fitted(tmp_path)
    assert extra == {"note": "kept"}
    torch.testing.assert_close(scorer(again.model)(task.split.test), scorer(fitted.model)(task.split.test))
    assert rank_relations(again, "CID100", "CID101").equals(rank_relations(fitted, "CID100", "CID101"))


def test_an_encoder_is_run_once_and_left_behind(task):
    settings = recipe("decagon", **{**QUICK, "epochs": 10})
    model, _ = train_model(task, settings)
    kept = make_fitted(model, task, settings)
    torch.testing.assert_close(scorer(kept.model)(task.split.test), scorer(model)(task.split.test))
    assert not [name for name in kept.state_dict() if "encoder" in name]


def test_relations_of_a_pair_by_hand(task, fitted):
    table = rank_relations(fitted, "CID105", "CID102")
    assert table["probability"].is_monotonic_decreasing
    assert sorted(table["relation"]) == list(task.triples.relations)
    links = task.split.train.t().tolist()
    for _, row in table.iterrows():
        assert row["known"] == ([2, task.triples.relation(row["relation"]), 5] in links)
        link = torch.tensor([[5], [task.triples.relation(row["title"])], [2]])
        assert row["score"] == pytest.approx(scorer(fitted.model)(link).item(), rel=1e-5)


def test_partners_are_all_others(fitted):
    table = rank_partners(fitted, "CID100", "Anaemia")
    assert len(table) == 39
    assert "CID100" not in set(table["entity"])
    # Under C1 family 0 is matched with family 2.
    assert {int(name[3:]) % 4 for name in table["entity"].head(8)} == {2}


def test_probabilities_are_shares_of_links(task, fitted):
    entities, relations = task.triples.num_entities, task.triples.num_relations
    head, tail = torch.triu_indices(entities, entities, 1)
    relation = torch.arange(relations).repeat_interleave(head.numel())
    links = torch.stack([head.repeat(relations), relation, tail.repeat(relations)])
    links = links[:, ~fitted.known.contains(links)]  # what training does not know: 4096 pairs
    probability = fitted.probabilities(scorer(fitted.model)(links), links[1])
    held_out = KnownLinks(torch.cat([task.split.val, task.split.test], 1), entities, symmetric=True).contains(links)
    assert held_out.sum() == 146
    assert probability.sum().item() == pytest.approx(146, rel=0.1)
    # Where it is sure and where it is not: as many links as the probabilities promise, within three deviations.
    for part in probability.sort(descending=True).indices.tensor_split([200, 800]):
        promised, spread = probability[part].sum(), (probability * (1 - probability))[part].sum().sqrt()
        assert abs(held_out[part].sum() - promised) < 3 * spread


def test_bad_questions(fitted, tmp_path):
    with pytest.raises(ValueError, match="entity 'CID1055' is unknown; did you mean 'CID105'"):
        rank_relations(fitted, "CID1055", "CID101")
    with pytest.raises(ValueError, match="'CID101' is given twice; a pair needs two different"):
        rank_relations(fitted, "CID101", "CID101")
    with pytest.raises(ValueError, match="relation 'fevr' is unknown; did you mean 'fever'"):
        rank_partners(fitted, "CID101", "fevr")
    with pytest.raises(FileNotFoundError, match="no folder of gnnkit relations train"):
        load_fitted(tmp_path)


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        ((0, 3), 10**6, r"train\[0\]\[3\] is 1000000; allowed are 0 to \d+, for there are \d+ entities"),
        ((1, 0), -1, r"train\[1\]\[0\] is -1; allowed are 0 to \d+, for there are \d+ relations"),
        ((2, 1), -(2**31), r"train\[2\]\[1\] is -2147483648"),
    ],
)
def test_a_link_to_an_entity_that_is_not_there(fitted, tmp_path, place, number, message):
    fitted.save(tmp_path, {})
    config = read_json(tmp_path / "config.json")["config"]
    links = fitted.train_links.to(torch.int32).clone()
    links[place] = number
    save_checkpoint(tmp_path, fitted, config, {"links.safetensors": lambda path: save_tensors(path, {"train": links})})
    with pytest.raises(ValueError, match=rf"links.safetensors: {message}"):
        load_fitted(tmp_path)
    short = {"train": links[:2]}
    save_checkpoint(tmp_path, fitted, config, {"links.safetensors": lambda path: save_tensors(path, short)})
    with pytest.raises(ValueError, match=r"train has shape \[2, \d+\], wanted is \[3, E\]"):
        load_fitted(tmp_path)


def test_files_that_do_not_belong_together(fitted, tmp_path):
    fitted.save(tmp_path, {})
    whole = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", whole | {"weights_sha256": "0" * 64})
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged, or not the file that belongs"):
        load_fitted(tmp_path)
    write_json(tmp_path / "config.json", whole)
    links = bytearray((tmp_path / "links.safetensors").read_bytes())
    links[-2] ^= 1
    (tmp_path / "links.safetensors").write_bytes(links)
    with pytest.raises(ValueError, match=r"links.safetensors is damaged, or not the file that belongs"):
        load_fitted(tmp_path)


def test_the_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe("best").minutes = 3
