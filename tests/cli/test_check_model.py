import pytest

from gnnkit.cli import main
from gnnkit.testing import learning

MODEL = '''
import torch
from torch import nn

class Last(nn.Module):
    """The last value, times a number."""

    def __init__(self, horizon, *, gain=1.0, flat=False):
        super().__init__()
        self.horizon, self.flat = horizon, flat
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        out = self.gain * x[:, -1:, :, 0].expand(-1, self.horizon, -1)
        return out[:, 0] if self.flat else out

class Words(Last):
    def __init__(self, horizon, vocab):
        super().__init__(horizon)

class Narrow(Last):
    def __init__(self, in_channels, horizon):
        if in_channels > 1:
            raise ValueError(f"in_channels must be 1, got {in_channels}")
        super().__init__(horizon)
'''


def call(*words: str):
    with pytest.raises(SystemExit) as left:
        main(["check-model", *words])
    return left.value.code


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "NODES", (4, 8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODEL)


def test_a_model_without_a_fault_is_told_line_by_line(capsys):
    assert call("mine.py:Last", "--set", "gain=2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    words = [" ".join(line.split()) for line in lines]
    assert words[1] == "check outcome what was seen"
    assert "gradients ok Gradients reach every weight: 1 of 1." in words
    assert any(line.startswith("cost says A step of training on 4 windows of 4 / 8 nodes takes ") for line in words)
    assert words[-1] == "mine.py:Last: 13 ok, 3 says"


def test_a_forward_of_the_wrong_shape_is_a_fault(capsys):
    assert call("mine.py:Last", "--set", "flat=true") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "gives [4, 5], and should give [" in out
    assert out.count("First mend: call.") == 15
    assert out.endswith(" mine.py:Last: 1 fault (call), 15 not checked")


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("mine.py:Lost", (), "has no 'Lost'; did you mean 'Last'?"),
        ("yours.py:Last", (), "cannot be imported (FileNotFoundError: there is no file "),
        ("mine.py:Words", (), "needs a value for vocab"),
        ("mine.py:Last", ("--set", "width=3"), "gnnkit: width: model 'mine.py:Last' has no such setting; choose from"),
        ("mine.py:Last", ("--set", "gain"), "setting: 'gain' is not NAME=VALUE; write e.g. layers=3"),
        ("mine.py:Narrow", (), "gnnkit: in_channels must be 1, got 2"),
    ],
)
def test_nonsense_is_told_in_a_line(capsys, name, words, message):
    assert call(name, *words) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert (told.out, len(told.err.splitlines())) == ("", 1)
