"""Checks of what goes in and what comes out: the call, odd sizes, double precision."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from gnnkit.testing.report import Found
from gnnkit.testing.subject import ModelError, Refused, Sizes, Subject, difference, make_inputs, own_name

__all__ = ["call", "float64", "odd_sizes"]

TIMES = 2
"""The features that tell the time: of the day, and the weekday, as shares."""
ODD = (
    Sizes(3, 13, 11, 5, 3),
    Sizes(batch=1),
    Sizes(history=1),
    Sizes(nodes=1),
    Sizes(horizon=1),
    Sizes(features=1),
    Sizes(1, 1, 1, 1, 1),
)


def call(subject: Subject) -> Found:
    """It is built and called as in training, in prediction, without gaps, and with the time where it asks for that."""
    model, inputs = subject.build(), subject.inputs
    lazy = [own_name(model, name) for name, each in model.named_parameters() if nn.parameter.is_lazy(each)]
    if lazy:
        return Found("fault", f"{lazy[0]} has no shape before the first call, and the optimiser is made before that.")
    calls = {
        "": lambda: subject.call(model, inputs),
        "Without a mask, as on a series without gaps: ": lambda: subject.run(replace(inputs, mask=None)),
        "In training: ": lambda: subject.train(inputs),
    }
    for when, run in calls.items():
        try:
            out = run()
        except ModelError as error:
            return Found("fault", f"{when}{error}")
        if out.dtype != inputs.x.dtype:
            return Found("fault", f"{when}From {inputs.x.dtype} it makes {out.dtype}.")
        if not out.isfinite().all():
            return Found("fault", f"{when}From finite numbers it makes {_not_finite(out)}.")
    if subject.takes("time_channels"):
        told = Sizes(features=subject.sizes.features + TIMES)
        shares = make_inputs(told)
        shares.x[..., -TIMES:] = shares.x[..., -TIMES:].sigmoid()
        subject.call(subject.build(told, time_channels=TIMES), shares)
    count = sum(parameter.numel() for parameter in model.parameters())
    return Found("ok", f"x {list(inputs.x.shape)} gives {subject.sizes.forecast} by {count:,} parameters.")


def odd_sizes(subject: Subject) -> Found:
    """Each axis of length 1, all of them of length 1, and other odd lengths; a last batch of one window in training."""
    refused, faults = [], []
    for sizes in ODD:
        try:
            model, inputs = subject.build(sizes), make_inputs(sizes).to(subject.dtype)
            out = subject.call(model, inputs)
            if not out.isfinite().all():
                raise ModelError(f"It makes {_not_finite(out)}.")
        except Refused as error:
            refused.append(f"{_text(sizes)}: {error}")
        except ModelError as error:
            faults.append(f"{_text(sizes)}: {error}")
    try:
        one = Sizes(batch=1)
        subject.call(subject.build(one).train(), make_inputs(one).to(subject.dtype), target=True, progress=0.0)
    except ModelError as error:
        faults.append(f"A batch of one window in training: {error}")
    except Refused:
        pass  # it is among the others
    if faults:
        return Found("fault", faults[0] + (f" Of {len(ODD) + 1} sizes {len(faults)} fail." if faults[1:] else ""))
    if refused:
        return Found("says", f"Its constructor refuses {len(refused)} of {len(ODD)}. {refused[0]}")
    return Found("ok", f"{len(ODD)} sizes, among them one window, step, node, horizon and feature, and all of these.")


def float64(subject: Subject) -> Found:
    """Double precision goes in and comes out, and is kept in between."""
    double = replace(subject, dtype=torch.float64)
    model, inputs = double.build(), double.inputs
    out = double.call(model, inputs)
    if out.dtype != torch.float64:
        return Found("fault", f"After .double() it gives {out.dtype} from float64.")
    # Single precision would round so small a change away.
    small, large = (
        difference(out, double.call(model, replace(inputs, x=inputs.x * (1 + change)))) for change in (1e-10, 1e-2)
    )
    if small == 0 and large > 1e-6:
        return Found("fault", "Double precision is lost inside: a change of x by 1e-10 of its size changes nothing.")
    single = difference(out, subject.call(subject.build(), subject.inputs))
    return Found("ok", f"float64 comes out, and differs from float32 by {single:.1g} of the largest value.")


def _text(sizes: Sizes) -> str:
    return f"B={sizes.batch}, T={sizes.history}, N={sizes.nodes}, P={sizes.horizon}, F={sizes.features}"


def _not_finite(out: torch.Tensor) -> str:
    return f"{int((~out.isfinite()).sum())} of {out.numel()} values that are NaN or infinite"
