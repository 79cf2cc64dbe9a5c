import pytest
import torch

from gnnkit.temporal.clock import check_clock, clock_slots, coming_times, without_clock


def test_every_slot_and_day_is_met_from_float32():
    for slots in (288, 24, 1440):
        clock = torch.tensor([[slot / slots, day / 7] for slot in range(slots) for day in range(7)])
        found = clock_slots(clock, slots)
        assert found[0].tolist() == [slot for slot in range(slots) for _ in range(7)]
        assert found[1].tolist() == list(range(7)) * slots


def test_the_clock_is_taken_out_of_features_and_mask():
    x = torch.arange(8.0)  # value, covariate, time, day and their mask
    assert without_clock(x, 4, 2).tolist() == [0, 1, 4, 5]
    assert without_clock(x[:4], 4, 2).tolist() == [0, 1]
    assert without_clock(x, 4, 0) is x


def test_coming_times_go_past_midnight():
    slots = torch.arange(280, 292)
    times = (slots % 288 / 288).float().view(1, -1, 1)
    for last in range(2, 13):
        found = coming_times(times[:, :last], 12)[0, :, 0]
        wanted = ((slots[last - 1] + torch.arange(1, 13)) % 288 / 288).float()
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-6)
    daily = torch.full((1, 5, 1), 0.25)
    assert coming_times(daily, 2).flatten().tolist() == pytest.approx([0.25, 0.25])
    assert coming_times(daily[:, :1], 2).flatten().tolist() == pytest.approx([0.25, 0.25])


def test_bad_arguments():
    assert [check_clock(0, 1), check_clock(2, 3)] == [0, 2]
    with pytest.raises(ValueError, match="time_channels must be one of 0, 2, got 1"):
        check_clock(1, 3)
    with pytest.raises(ValueError, match="in_channels=2 leaves no target beside time_channels=2"):
        check_clock(2, 2)
