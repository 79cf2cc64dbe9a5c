"""Checks of what a forecast may see: no target, no other window of the batch, no gap."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from gnnkit.testing.report import Found
from gnnkit.testing.subject import Subject, difference

__all__ = ["gaps", "no_peeking", "windows_apart"]


def no_peeking(subject: Subject) -> Found:
    """In evaluation mode the target changes nothing; in training a step's forecast sees targets of steps before it."""
    inputs = subject.inputs
    without = subject.run(inputs)
    seen = max(
        difference(without, subject.run(each, target=True, progress=1.0))
        for each in (inputs, replace(inputs, target=inputs.target + 1))
    )
    if seen > subject.tolerance:
        return Found(
            "fault", f"In evaluation mode the target changes the forecast, by {seen:.2g} of the largest value."
        )
    model = subject.build()
    if getattr(model, "leaves_nodes_out", False):
        return Found("says", "In evaluation mode it sees no target. In training, nodes left out come back as theirs.")
    whole, forced = subject.train(inputs), False
    for step in range(subject.sizes.horizon):
        target = inputs.target.clone()
        target[:, step:] += 1.0
        moved = subject.train(replace(inputs, target=target))
        if difference(whole[:, : step + 1], moved[:, : step + 1]) > subject.tolerance:
            return Found("fault", f"In training the forecast of step {step + 1} sees the target of that step or later.")
        forced = forced or difference(whole, moved) > subject.tolerance
    how = "sees the targets of the steps before it" if forced else "sees none either"
    return Found("ok", f"No target changes a forecast in evaluation mode; in training a step {how}.")


def windows_apart(subject: Subject) -> Found:
    """A window's forecast is the same whatever the other windows of its batch are, and however many."""
    inputs = subject.inputs
    assert inputs.mask is not None
    x = inputs.x.clone()
    x[1:] = 3 * x[1:] + 1
    whole = subject.run(inputs)
    apart = difference(whole[:1], subject.run(replace(inputs, x=x))[:1])
    if apart > subject.tolerance:
        return Found(
            "fault", f"A window's forecast differs by {apart:.2g} of the largest value when the others of its batch do."
        )
    half = replace(inputs, x=inputs.x[:2], mask=inputs.mask[:2], target=inputs.target[:2])
    apart = difference(whole[:2], subject.run(half))
    if apart > subject.tolerance:
        return Found(
            "fault", f"A window's forecast differs by {apart:.2g} of the largest value in a batch half as large."
        )
    return Found("ok", "A window's forecast is the same whatever else is in its batch.")


def gaps(subject: Subject) -> Found:
    """What it makes of values that were not observed."""
    inputs = subject.inputs
    assert inputs.mask is not None
    holes = torch.where(torch.rand(inputs.target.shape, generator=torch.Generator().manual_seed(0)) < 0.5, math.nan, 0)
    if not subject.train(replace(inputs, target=inputs.target + holes)).isfinite().all():
        return Found("fault", "In training a target that was not observed, which is NaN, makes the forecast NaN.")
    none = torch.zeros_like(inputs.mask)
    if not subject.run(replace(inputs, mask=none)).isfinite().all():
        return Found("fault", "A history of which nothing was observed makes the forecast NaN.")
    whole = subject.run(inputs)
    reads_mask = max(
        difference(whole, subject.run(replace(inputs, mask=mask)))
        for mask in (none, torch.ones_like(none), inputs.mask.roll(1, dims=2))
    )
    if reads_mask <= subject.tolerance:
        if _skips_gaps(subject):
            return Found("fault", "It says skips_gaps, and does not read the mask that tells where the gaps are.")
        return Found(
            "says", "It does not read the mask: of a gap it sees the value that fills it, the last one before."
        )
    of_gaps, of_seen = (
        difference(whole, subject.run(replace(inputs, x=torch.where(where, inputs.x + 1, inputs.x))))
        for where in (~inputs.mask, inputs.mask)
    )
    if of_gaps > subject.tolerance >= of_seen:
        return Found("fault", "It reads what was not observed and nothing else: the mask is true where x was observed.")
    if _skips_gaps(subject) and of_gaps > subject.tolerance:
        return Found(
            "fault", f"It says skips_gaps, and values that were not observed change the forecast by {of_gaps:.2g}."
        )
    full = [subject.run(replace(inputs, mask=mask)) for mask in (None, torch.ones_like(none))]
    if difference(*full) > subject.tolerance:
        return Found(
            "fault", "Without a mask, which means without a gap, it differs from a mask that is true all over."
        )
    if of_gaps > subject.tolerance:
        return Found(
            "says", f"It reads the mask, and the values that fill the gaps: they change the forecast by {of_gaps:.2g}."
        )
    return Found("ok", "It reads the mask, and no value that was not observed.")


def _skips_gaps(subject: Subject) -> bool:
    """Whether the model promises to read x only where mask is true."""
    return bool(getattr(subject.build(), "skips_gaps", False))
