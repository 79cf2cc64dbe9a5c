import pytest
from torch import nn

from gnnkit.sequence import LSTM, BiLSTM, LSTMCell, SequenceClassifier, count_parameters, lstm_parameters


def test_the_reports_formula_by_hand():
    # 4 (1·2 + 2² + 2) + 2·3 + 3 = 32 + 9
    assert lstm_parameters(1, 2, 3) == 41
    assert lstm_parameters(1, 128, 10) == 4 * (128 + 16384 + 128) + 1280 + 10


@pytest.mark.parametrize("sizes", [(1, 128, 5), (7, 3, 2), (128, 256, 15)])
def test_formula_and_modules_agree(sizes):
    n_in, n_h, n_out = sizes
    head = nn.Linear(n_h, n_out)
    assert count_parameters(LSTM(n_in, n_h)) + count_parameters(head) == lstm_parameters(*sizes)
    assert count_parameters(LSTMCell(n_in, n_h)) + count_parameters(head) == lstm_parameters(*sizes)
    assert sum(p.numel() for p in LSTMCell(n_in, n_h).parameters()) + head.weight.numel() + n_out == lstm_parameters(
        *sizes
    )


def test_torchs_second_bias_is_told_apart():
    n_in, n_h, n_out = 3, 8, 4
    torchs = count_parameters(nn.LSTM(n_in, n_h)) + count_parameters(nn.Linear(n_h, n_out))
    assert torchs - lstm_parameters(n_in, n_h, n_out) == 4 * n_h
    ours = LSTM(n_in, n_h)
    assert count_parameters(ours, trainable_only=False) - count_parameters(ours) == 4 * n_h
    assert count_parameters(BiLSTM(n_in, n_h)) == 2 * count_parameters(ours)


def test_the_classifier_adds_embedding_and_initial_states():
    model = SequenceClassifier(10, 128)
    assert count_parameters(model) == lstm_parameters(1, 128, 10) + 10 * 1 + 2 * 128
    plain = SequenceClassifier(10, 128, learned_state=False)
    assert count_parameters(plain) == lstm_parameters(1, 128, 10) + 10


def test_a_shared_parameter_counts_once():
    layer = nn.Linear(3, 2)
    assert count_parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 8
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 6
    assert count_parameters(layer, trainable_only=False) == 8


def test_bad_sizes():
    for sizes, name in (((0, 1, 1), "in_channels"), ((1, 0, 1), "hidden_channels"), ((1, 1, 0), "out_channels")):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got 0"):
            lstm_parameters(*sizes)
