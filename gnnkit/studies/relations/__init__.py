"""Link prediction on Decagon's task: models, baselines and ablations on one split."""

__all__: list[str] = []
