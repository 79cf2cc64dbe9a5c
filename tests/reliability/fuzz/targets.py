"""All that is fuzzed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.reliability.fuzz import documents, files, graphs, models
from tests.reliability.fuzz.harness import Target

__all__ = ["TARGETS", "shares"]

TARGETS = [*files.TARGETS, *documents.TARGETS, *graphs.TARGETS, *models.TARGETS]


def shares(cases: int, targets: Sequence[Target] = TARGETS) -> Iterator[tuple[Target, int]]:
    """How many of the cases each target gets; those that may not have their share leave it to the others."""
    free, rest = [each for each in targets if each.most is None], cases
    for target in targets:
        if target.most is not None:
            share = min(target.most, max(1, round(cases * target.share / sum(each.share for each in targets))))
            rest -= share
            yield target, share
    whole = sum(each.share for each in free)
    for target in free:
        yield target, max(1, -(-int(rest * target.share) // max(1, round(whole))))
