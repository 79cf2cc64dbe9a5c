"""Sequence models, which see no graph: the baselines that a graph model has to beat."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.sequence._contract import ForecasterModule
    from gnnkit.sequence.cells import Gate, GRUCell, GRUGates, LSTMCell, LSTMGates, LSTMState, RNNCell, RNNGates
    from gnnkit.sequence.char_codec import CharCodec
    from gnnkit.sequence.char_lstm import CharLSTM, CharScores
    from gnnkit.sequence.classifier import SequenceClassifier
    from gnnkit.sequence.forecaster import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
    from gnnkit.sequence.gradients import (
        RNNGradients,
        Unrollable,
        gradient_flow,
        jacobian_products,
        rnn_gradients,
        state_jacobians,
    )
    from gnnkit.sequence.parameters import count_parameters, lstm_parameters
    from gnnkit.sequence.plots import plot_gradient_flow
    from gnnkit.sequence.recurrence import GRU, LSTM, RNN, BiGRU, BiLSTM, BiRNN, RecurrentStates
    from gnnkit.sequence.sampling import Sampling, write_characters
else:
    import_lazily(__name__)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BiGRU",
    "BiLSTM",
    "BiLSTMForecaster",
    "BiRNN",
    "CharCodec",
    "CharLSTM",
    "CharScores",
    "ForecasterModule",
    "GRUCell",
    "GRUForecaster",
    "GRUGates",
    "Gate",
    "LSTMCell",
    "LSTMForecaster",
    "LSTMGates",
    "LSTMState",
    "RNNCell",
    "RNNForecaster",
    "RNNGates",
    "RNNGradients",
    "RecurrentStates",
    "Sampling",
    "SequenceClassifier",
    "Unrollable",
    "count_parameters",
    "gradient_flow",
    "jacobian_products",
    "lstm_parameters",
    "plot_gradient_flow",
    "rnn_gradients",
    "state_jacobians",
    "write_characters",
]
