import json
import multiprocessing
import random
import signal

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

from gnnkit.data import split_text
from gnnkit.sequence import CharCodec, CharLSTM, count_parameters
from gnnkit.sequence.mixed_lstm import _has_bfloat16
from gnnkit.studies.combinations.settings import CombinationsSettings
from gnnkit.studies.text import training as study
from gnnkit.studies.text.settings import TextSettings
from gnnkit.studies.text.training import train_step, train_text

TINY = {"steps": 30, "window": 10, "batch_size": 4, "hidden_channels": 8, "embedding_channels": 4}
TINY |= {"learning_rate": 1e-2, "validate_every": 10, "checkpoint_every": 7, "device": "cpu"}


def settings(**changes):
    return TextSettings(**{**TINY, **changes})


@pytest.fixture
def book(tmp_path, small_book):
    path = tmp_path / "book.txt"
    path.write_text(small_book[:2000])
    return path


def test_training_learns_and_says_so(trained, small_book):
    row = json.loads((trained / "row.json").read_text())
    curve, validation = pd.read_csv(trained / "curve.csv"), pd.read_csv(trained / "validation.csv")
    assert curve["nats"].iloc[0] > 2.9 > 1.5 > curve["nats"].iloc[-20:].mean()
    assert row["nats"] == pytest.approx(curve["nats"].mean(), rel=1e-4)  # fewer than 500 steps: of all
    assert row["accuracy"] == pytest.approx(curve["accuracy"].mean(), rel=1e-4)
    assert list(validation["step"]) == [50, 100, 120]
    assert row["val_bits"] == pytest.approx(validation["bits"].iloc[-1], rel=1e-4)
    assert row["best_val_bits"] == pytest.approx(validation["bits"].min(), rel=1e-4)
    assert 0.5 < row["test_bits"] < 2.5
    codec = CharCodec.from_text(small_book)
    assert (row["book"], row["characters"], row["vocabulary"]) == ("small", 8000, len(codec))
    assert row["parameters"] == count_parameters(CharLSTM(len(codec), 24, embedding_channels=8))
    assert {"hardware", "threads", "torch", "gnnkit", "commit", "date", "seconds", "steps", "seed"} <= row.keys()
    names = {"book.txt", "config.json", "curve.csv", "recipe.json", "row.json", "stages", "validation.csv"}
    assert {path.name for path in trained.iterdir()} == {*names, "weights.safetensors"}


def test_stages_are_thirds_of_the_steps_and_of_the_final_accuracy(trained):
    row = json.loads((trained / "row.json").read_text())
    stages = {(stage["kind"], stage["third"]): stage for stage in row["stages"]}
    assert [stages["steps", third]["step"] for third in (1, 2)] == [40, 80]
    curve = pd.read_csv(trained / "curve.csv")
    for third in (1, 2):
        stage = stages["accuracy", third]
        near = curve["accuracy"][stage["step"] - 10 : stage["step"]].mean()
        assert stage["accuracy"] == pytest.approx(near, rel=1e-4)
        assert abs(stage["accuracy"] - row["accuracy"] * third / 3) < 0.15  # a step of ten moves that much here
    files = {stage["file"] for stage in row["stages"]}
    assert {path.name for path in (trained / "stages").iterdir()} == files
    assert len(files) >= 3


def test_a_step_is_that_of_plain_torch():
    torch.manual_seed(0)
    model = CharLSTM(9, 12, embedding_channels=6)
    embedding, lstm, head = nn.Embedding(9, 6), nn.LSTM(6, 12, 2), nn.Linear(12, 9)
    embedding.load_state_dict(model.embedding.state_dict())
    lstm.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        head.weight.copy_(model.head.weight)
        head.bias.copy_(model.bias)
    for name, parameter in lstm.named_parameters():
        parameter.requires_grad_(not name.startswith("bias_hh"))
    plain = [p for module in (embedding, lstm, head) for p in module.parameters() if p.requires_grad]
    other = torch.optim.Adam(plain, lr=0.1)
    ours = [p for p in model.parameters() if p.requires_grad]
    step = train_step(model, torch.optim.Adam(ours, lr=0.1), ours, clip=0.05)
    state = carried = None
    for _ in range(4):
        text = torch.randint(9, (5, 8))
        (nats, accuracy), state = step(text[:, :-1], text[:, 1:], state)
        h, carried = lstm(embedding(text[:, :-1].t()), carried)
        carried = tuple(part.detach() for part in carried)
        logits = head(h).transpose(0, 1)
        loss = F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
        other.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(plain, 0.05)
        other.step()
        assert nats.item() == pytest.approx(loss.item(), rel=1e-4)
        assert accuracy.item() == pytest.approx((logits.argmax(dim=-1) == text[:, 1:]).float().mean().item())
        torch.testing.assert_close(state.c, carried[1], rtol=1e-4, atol=1e-5)
        assert not state.c.requires_grad


def test_the_tail_is_never_trained_on(tmp_path, book, monkeypatch):
    seen = []
    make = study.TextWindows
    monkeypatch.setattr(study, "TextWindows", lambda tokens, *a, **o: seen.append(tokens) or make(tokens, *a, **o))
    train_text(book, settings(steps=1, val_share=0.1), tmp_path / "out")
    text = book.read_text()
    split = split_text(2000, val_share=0.1)
    assert torch.equal(seen[0], CharCodec.from_text(text).encode(text)[: split.train.stop])
    assert len(seen[0]) == 1700


def test_the_state_is_carried_where_it_is_asked_for(tmp_path, book, monkeypatch):
    states = []
    make = study.train_step

    def watched(*arguments):
        step = make(*arguments)

        def inner(tokens, target, state):
            figures, after = step(tokens, target, state)
            states.append((None if state is None else state.h.clone(), after.h.clone()))
            return figures, after

        return inner

    monkeypatch.setattr(study, "train_step", watched)
    train_text(book, settings(steps=3, stateful=True), tmp_path / "carried")
    assert torch.equal(states[0][0], torch.zeros(2, 4, 8))
    assert torch.equal(states[1][0], states[0][1])
    assert torch.equal(states[2][0], states[1][1])
    states.clear()
    train_text(book, settings(steps=3), tmp_path / "zero")
    assert [before for before, _ in states] == [None] * 3


# A context whose processes are forked from one that has imported all and computed nothing: each starts in a moment.
_FORKS = multiprocessing.get_context("forkserver")


def live(*arguments, seconds=None):
    """Train; with `seconds`, be killed by the system when it has computed so long behind its first checkpoint."""

    def save(*what, real=study.Snapshots.save, **more):
        real(*what, **more)
        study.Snapshots.save = real
        # Of the processor's time: however busy the machine is, it is cut off at the same places.
        signal.setitimer(signal.ITIMER_PROF, seconds)

    if seconds is not None:
        study.Snapshots.save = save
    train_text(*arguments)


def end_of(*arguments, **options):
    """The exit code of a training in a process of its own."""
    # torch loads its compiler, which takes seconds, when the first optimizer is made.
    _FORKS.set_forkserver_preload(["gnnkit.studies.text.training", "torch._dynamo"])
    process = _FORKS.Process(target=live, args=arguments, kwargs=options)
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path, book):
    recipe = settings(
        steps=300, stateful=True, dropout=0.3, weight_decay=0.01, checkpoint_every=3, validate_every=50, warmup=0.1
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert end_of(book, recipe, whole) == 0
    draw, sizes = random.Random(0), []
    for _ in range(6):
        end = end_of(book, recipe, killed, seconds=draw.uniform(0.001, 0.05))
        assert end == -signal.SIGPROF, "it had ended before it was killed: give it more steps"
        sizes.append((killed / "training.safetensors").stat().st_size)
    assert sizes == sorted(set(sizes))  # what is known of the steps so far grows with each of them
    assert end_of(book, recipe, killed) == 0
    one, other = load_file(whole / "weights.safetensors"), load_file(killed / "weights.safetensors")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in ("curve.csv", "validation.csv", "config.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    rows = [json.loads((folder / "row.json").read_text()) for folder in (whole, killed)]
    assert rows[0]["stages"] == rows[1]["stages"]
    for path in (whole / "stages").iterdir():
        assert path.read_bytes() == (killed / "stages" / path.name).read_bytes()
    assert not [path for path in killed.rglob("*") if path.suffix == ".part" or path.name == "training.safetensors"]


def test_a_finished_training_is_not_begun_anew(tmp_path, book, monkeypatch):
    row = train_text(book, settings(), tmp_path / "out")
    monkeypatch.setattr(study, "TextTraining", None)
    assert train_text(book, settings(validate_every=3), tmp_path / "out") == row


def test_the_run_depends_on_its_seed_alone(tmp_path, book):
    torch.manual_seed(1)
    first = train_text(book, settings(dropout=0.2), tmp_path / "a")
    torch.manual_seed(2)
    second = train_text(book, settings(dropout=0.2, validate_every=7, checkpoint_every=4), tmp_path / "b")
    other = train_text(book, settings(dropout=0.2, seed=1), tmp_path / "c")
    assert first["test_bits"] == second["test_bits"] != other["test_bits"]
    assert (tmp_path / "a" / "curve.csv").read_bytes() == (tmp_path / "b" / "curve.csv").read_bytes()


def test_bfloat16_rounds_the_products_and_nothing_else(tmp_path, book):
    torch.manual_seed(0)
    tokens, target = torch.randint(9, (8, 20)), torch.randint(9, (8, 20))
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(1)
        model = CharLSTM(9, 32, embedding_channels=16)
        ours = list(filter(lambda parameter: parameter.requires_grad, model.parameters()))
        step = train_step(model, torch.optim.SGD(ours, lr=0.1), ours, 5.0, precision)
        figures, state = step(tokens, target, model.zero_state(8))
        assert {figures.dtype, state.h.dtype, state.c.dtype, *(p.dtype for p in ours)} == {torch.float32}
        found[precision] = torch.cat([p.grad.flatten() for p in ours]), figures[0], state.h
    alike = [False, False, not _has_bfloat16()]  # the state of an LSTM in single precision, where there is no other
    for exact, rounded, tolerance, same in zip(*found.values(), (0.02, 1e-3, 0.01), alike, strict=True):
        assert torch.equal(exact, rounded) is same
        assert (exact - rounded).norm() < tolerance * exact.norm()
    row = train_text(book, settings(precision="bf16-mixed"), tmp_path / "out")
    assert row["precision"] == "bf16-mixed"
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "weights.safetensors").values()} == {torch.float32}
    with pytest.raises(ValueError, match=r'precision \("bf16-mixed" there, and "32-true" now\)'):
        train_text(book, settings(), tmp_path / "out")


def test_another_recipe_or_book_is_refused(tmp_path, book):
    out = tmp_path / "out"
    train_text(book, settings(), out)
    before = (out / "weights.safetensors").read_bytes()
    with pytest.raises(
        ValueError, match=r"with another steps \(30 there, and 31 now\) and seed \(0 there, and 5 now\): repeat"
    ):
        train_text(book, settings(steps=31, seed=5), out)
    book.write_text(book.read_text()[:-1] + "#")
    with pytest.raises(
        ValueError, match=r"with another sha256 \(SHA-256 \w{12}… there, and SHA-256 \w{12}… now\) and vocab"
    ):
        train_text(book, settings(), out)
    assert (out / "weights.safetensors").read_bytes() == before


def test_folders_that_are_not_its_own(tmp_path, book):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match=r"mine holds other files \(thesis.tex\); give a new or an empty folder"):
        train_text(book, settings(), tmp_path / "mine")
    with pytest.raises(ValueError, match=r"book\.txt is a file; give a folder"):
        train_text(book, settings(), book)
    (tmp_path / "other").mkdir()
    recipe = CombinationsSettings().recipe()  # of another study
    (tmp_path / "other" / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises(ValueError, match="other holds other files"):
        train_text(book, settings(), tmp_path / "other")
    # What a run leaves that was cut off before it had begun.
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "lock").write_text("process 7 on earth")
    (tmp_path / "begun" / "recipe.json.7-1.part").write_text("{")
    assert train_text(book, settings(steps=2), tmp_path / "begun")["steps"] == 2


def test_nothing_is_written_for_bad_input(tmp_path, book):
    out = tmp_path / "out"
    book.write_text("too short")
    with pytest.raises(ValueError, match="the text is too short: 9 characters"):
        train_text(book, settings(), out)
    with pytest.raises(ValueError, match="device is 'abacus'"):
        train_text(book, settings(device="abacus"), out)
    assert not out.exists()


def test_a_loss_that_explodes_stops_the_run(tmp_path, book):
    with pytest.raises(
        FloatingPointError, match=r"training loss is nan at step \d+: lower learning_rate \(now 1e\+38\)"
    ):
        train_text(book, settings(learning_rate=1e38, clip=1e38), tmp_path / "out")
    with pytest.raises(FloatingPointError, match=r"the validation loss in bits is \d.*e\+\d+ at step 10, and was"):
        train_text(book, settings(learning_rate=1e6), tmp_path / "other")
    # There is nothing to go on with: the same folder takes the lower rate.
    assert train_text(book, settings(), tmp_path / "out")["learning_rate"] == settings().learning_rate


def test_progress_is_told(tmp_path, book):
    console = Console(force_terminal=False, width=200)
    with console.capture() as captured:
        train_text(book, settings(), tmp_path / "out", console=console)
    lines = captured.get().splitlines()
    assert [line.split("  ")[0] for line in lines[::2]] == ["step 10", "step 20", "step 30"]
    assert len(lines) == 6
