"""The page of answers, and the table of how far probabilities hold."""

import numpy as np
import pytest
import torch

from gnnkit.relational import KnownLinks
from gnnkit.studies.relations.examples import reliability, write_examples
from gnnkit.studies.relations.fitted import make_fitted, rank_partners, rank_relations
from gnnkit.studies.relations.settings import recipe
from gnnkit.studies.relations.task import make_task
from gnnkit.studies.relations.training import scorer, train_model


@pytest.fixture(scope="module")
def task(polypharmacy):
    return make_task(polypharmacy)


@pytest.fixture(scope="module")
def fitted(task):
    settings = recipe("best", minutes=5, epochs=100, validations=2, relations_per_step=3, channels=16, device="cpu")
    return make_fitted(train_model(task, settings)[0], task, settings)


def test_reliability_by_hand(task, fitted):
    edges = (0.0, 0.01, 0.1, 0.5, 1.0)
    table = reliability(fitted, task, bins=edges, relations_at_once=4)
    # Every pair, one at a time, as `predict` would score it.
    head, tail = torch.triu_indices(40, 40, 1)
    links = torch.stack([head.repeat(6), torch.arange(6).repeat_interleave(780), tail.repeat(6)])
    used = KnownLinks(torch.cat([task.split.train, task.split.val], 1), 40, symmetric=True).contains(links)
    links = links[:, ~used]
    test = KnownLinks(task.split.test, 40, symmetric=True).contains(links).numpy()
    probability = fitted.probabilities(scorer(fitted.model)(links), links[1]).detach().numpy()
    hidden = torch.bincount(task.split.val[1]) + torch.bincount(task.split.test[1])
    weight = np.where(test, (hidden / torch.bincount(task.split.test[1])).numpy()[links[1]], 1.0)
    assert table["pairs"].sum() == links.size(1)
    assert table["test_links"].sum() == task.split.test.size(1)
    for row in table.itertuples():
        inside = (probability >= row.low) & (probability < row.high)
        assert row.pairs == inside.sum()
        assert row.test_links == test[inside].sum()
        assert row.predicted == pytest.approx(np.average(probability[inside], weights=weight[inside]), rel=1e-5)
        assert row.observed == pytest.approx(np.average(test[inside], weights=weight[inside]), rel=1e-9)
        assert row.observed_low <= row.observed <= row.observed_high


def test_the_interval_is_wilsons(task, fitted):
    row = reliability(fitted, task, bins=(0.0, 1.0)).iloc[0]
    share, number = row["observed"], row["pairs"]
    # The ends of Wilson's interval lie 1.96 deviations, of their own, from the share.
    for end in (row["observed_low"], row["observed_high"]):
        assert abs(share - end) == pytest.approx(1.96 * np.sqrt(end * (1 - end) / number), rel=1e-6)


@pytest.mark.parametrize("bins", [(0.0,), (0.1, 1.0), (0.0, 0.9), (0.0, 0.5, 0.5, 1.0)])
def test_bins_have_to_rise_from_0_to_1(task, fitted, bins):
    with pytest.raises(ValueError, match=r"bins: .* do not rise from 0 to 1"):
        reliability(fitted, task, bins=bins)


def test_the_page_has_the_answers_of_predict(task, fitted, tmp_path):
    target = tmp_path / "examples.md"
    write_examples(
        fitted,
        task,
        target,
        pairs=[("CID105", "CID102")],
        partners=[("CID100", "anaemia")],
        names={"CID102": "aspirin"},
        top=3,
    )
    page = target.read_text()
    assert "## CID105 with aspirin (CID102)" in page
    assert "## CID100: with whom anaemia?" in page
    relations = rank_relations(fitted, "CID105", "CID102")
    assert f"{relations['known'].sum()} links of this pair stood in training." in page
    new = relations[~relations["known"]].head(3)
    held_out = torch.cat([task.split.val, task.split.test], 1).t().tolist()
    for place, row in enumerate(new.itertuples(), 1):
        on = "yes" if [2, task.triples.relation(row.title), 5] in held_out else "no"
        assert f"| {place} | {row.title} | {row.probability:.3f} | {on} |" in page
    partners = rank_partners(fitted, "CID100", "anaemia")
    first = partners[~partners["known"]].iloc[0]
    name = {"CID102": "aspirin (CID102)"}.get(first["entity"], first["entity"])
    assert f"| 1 | {name} | {first['probability']:.3f} |" in page
    assert "How far the probabilities hold" in page
