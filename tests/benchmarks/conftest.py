"""The small graph of the studies' tests, for what benchmarks make of a fitted model."""

from tests.studies.conftest import polypharmacy

__all__ = ["polypharmacy"]
