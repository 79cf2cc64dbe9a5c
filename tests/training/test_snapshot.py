import pytest
import torch
from torch import nn

from gnnkit.kept_tensors import save_tensors
from gnnkit.training import load_snapshot, save_snapshot


def build(kind=torch.optim.Adam, **options):
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 1))
    return model, kind(model.parameters(), lr=0.01, **options)


def steps(model, optimizer, first, last):
    for number in range(first, last):
        x = torch.sin(torch.arange(12.0).reshape(4, 3) + number)
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"weight_decay": 0.1, "amsgrad": True}),
        (torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_a_training_goes_on_bit_for_bit(tmp_path, kind, options):
    torch.manual_seed(0)
    model, optimizer = build(kind, **options)
    steps(model, optimizer, 0, 5)
    for group in optimizer.param_groups:
        group["lr"] = 0.005  # what a schedule has made of it
    state = torch.randn(2, 3)
    save_snapshot(tmp_path / "a", model, optimizer, {"step": 5, "best": [0.1, None]}, {"h": state})
    steps(model, optimizer, 5, 9)

    torch.manual_seed(77)
    again, second = build(kind, **options)
    record, carried = load_snapshot(tmp_path / "a", again, second)
    assert record == {"step": 5, "best": [0.1, None]}
    assert torch.equal(carried["h"], state)
    assert second.param_groups[0]["lr"] == 0.005
    steps(again, second, 5, 9)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_bad_record_leaves_the_snapshot_before(tmp_path):
    model, optimizer = build()
    save_snapshot(tmp_path / "a", model, optimizer, {"step": 1})
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_snapshot(tmp_path / "a", model, optimizer, {"step": torch.ones(1)})
    assert (tmp_path / "a").read_bytes() == before


def test_files_that_are_no_snapshot(tmp_path):
    from safetensors.torch import save_file

    model, optimizer = build()
    (tmp_path / "junk").write_bytes(b"\x80\x04junk" * 10)
    with pytest.raises(ValueError, match=r"junk is damaged \(.*\)"):
        load_snapshot(tmp_path / "junk", model, optimizer)
    save_file({"a": torch.ones(1)}, str(tmp_path / "plain"))
    with pytest.raises(ValueError, match="plain has no checksum: it is none of gnnkit's"):
        load_snapshot(tmp_path / "plain", model, optimizer)
    save_tensors(tmp_path / "plain", {"a": torch.ones(1)})
    with pytest.raises(ValueError, match="plain is not a snapshot of a training; remove it"):
        load_snapshot(tmp_path / "plain", model, optimizer)
    save_snapshot(tmp_path / "a", model, optimizer, {})
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="half is damaged"):
        load_snapshot(tmp_path / "half", model, optimizer)
    other = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="a belongs to another model"):
        load_snapshot(tmp_path / "a", other, torch.optim.Adam(other.parameters()))
    save_tensors(tmp_path / "late", {"a": torch.ones(1)}, {"record": {}, "format": 9})
    with pytest.raises(ValueError, match="has layout 9, this gnnkit reads 2: update gnnkit"):
        load_snapshot(tmp_path / "late", model, optimizer)
