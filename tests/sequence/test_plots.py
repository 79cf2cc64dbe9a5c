import numpy as np
import pytest
import torch

from gnnkit.sequence import plot_gradient_flow


def test_lines_carry_the_norms():
    figure = plot_gradient_flow(
        {
            "at initialisation": {"RNN": torch.tensor([0.0, 1e-3, 1.0]), "LSTM": [0.5, 0.7, 1.0]},
            "after training": {"LSTM": [1, 1, 1]},
        },
        ylabel="norm",
        title="both",
    )
    left, right = figure.axes
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["at initialisation", "after training"]
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_ylabel() == "norm"
    rnn, lstm = left.get_lines()
    np.testing.assert_array_equal(rnn.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(rnn.get_ydata()[1:], [1e-3, 1.0])
    assert np.isnan(rnn.get_ydata()[0])  # a logarithm knows no zero
    assert lstm.get_color() == right.get_lines()[0].get_color() != rnn.get_color()
    assert lstm.get_marker() != rnn.get_marker()


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="at least one panel"):
        plot_gradient_flow({})
    with pytest.raises(ValueError, match="each panel at least one line"):
        plot_gradient_flow({"a": {}})
    with pytest.raises(ValueError, match=r"'a', 'RNN': norms must be a vector .* got \[2, 2\]"):
        plot_gradient_flow({"a": {"RNN": torch.zeros(2, 2)}})
    with pytest.raises(ValueError, match="8 lines are more than the 7"):
        plot_gradient_flow({"a": {str(i): [1.0] for i in range(8)}})
