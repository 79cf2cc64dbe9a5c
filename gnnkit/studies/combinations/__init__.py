"""Part 1 of the course report: LSTM against BiLSTM on random combinations."""

__all__: list[str] = []
