import pytest

from gnnkit.studies.relations.settings import RelationsSettings, recipe

BAD = {
    "decoder": ({"decoder": "transe"}, "decoder is 'transe'; choose one of dedicom"),
    "loss": ({"loss": "mse"}, "loss is 'mse'"),
    "negatives": ({"negatives": "some"}, "negatives is 'some'; choose one of auto, all, sampled"),
    "batch": ({"batch_size": 0}, "batch_size is 0"),
    "part": ({"leave_out": ("genes",)}, "'genes' is no part of the graph"),
    "minutes": ({"minutes": -1}, "seconds is -60"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        RelationsSettings(**change)


def test_unknown_recipes_and_settings():
    with pytest.raises(ValueError, match="model is 'bset'; choose one of decagon, best"):
        recipe("bset")
    with pytest.raises(ValueError, match="'chanels' is no setting; there are decoder, channels"):
        recipe("best", chanels=3)
