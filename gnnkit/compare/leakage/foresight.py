"""The check of the leakage audit on features: do they tell of later targets what the past does not?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from gnnkit.compare.leakage.checks import Found, ReadsOfSplits, feature_in_words
from gnnkit.compare.leakage.scores import forward_filled, normal_scores
from gnnkit.data import GraphSeries, WindowSplits

__all__ = ["Telling", "foresight", "telling_features"]

LEVEL = 0.01
"""Chance that noise alone is taken for a sign of the future, in one run of the check."""
SHARE = 0.25
"""Share of what the past leaves open in a target that a feature must tell, to be worth a warning."""
KNOWN, OPEN = 0.98, 0.9
"""A feature with which R² is `KNOWN` or more, and that tells `OPEN` or more of what the past leaves open, is a leak."""
ROWS, VALUES, FEWEST_ROWS = 512, 200_000, 60
"""Rows of a stretch that are looked at, spread evenly, of so many values at most; a stretch with fewer than the least
is not looked at alone."""
LEADS, LAGS, FOLDS = 48, 4, 4
MOST_NODES = 256
"""Nodes whose features are held against the targets of others, where there are more."""


@dataclass(frozen=True)
class Telling:
    """A feature that tells of a later target.

    Args:
        feature: its number.
        node: the node that has it.
        target: the node whose target it tells of.
        lead: rows from the feature to that target.
        sizes: True where it tells how far the target is from its median, and not on which side.
        stretch: where it was found, in words; empty for the whole series.
        past: R² of the past alone, out of fold.
        beside: R² of the past and the feature.
    """

    feature: int
    node: int
    target: int
    lead: int
    sizes: bool
    stretch: str
    past: float
    beside: float

    @property
    def share(self) -> float:
        """Of what the past leaves open, what the feature tells."""
        return (self.beside - self.past) / max(1 - self.past, 1e-9)

    @property
    def is_leak(self) -> bool:
        """Whether hardly anything is left that the feature does not know."""
        return self.beside >= KNOWN and self.share >= OPEN


def foresight(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Look for features that tell of later targets, of their own node or of others, what the past does not."""
    del reads
    if series.num_features == 1:
        return Found("There is no feature beside the target.")
    if len(series.known_ahead) == series.num_features - 1:
        return Found("Every feature beside the target is said to be known ahead.")
    reach = windows.test.history + windows.test.lead + windows.test.horizon - 2
    leads = _leads(range(LAGS, series.num_rows - 1), reach)
    if series.num_rows - 1 - LAGS - leads < 2 * FOLDS * FOLDS:
        return Found(f"Features were not held against later targets: {series.num_rows} rows are too few for that.")
    found = telling_features(series, reach)
    if not found:
        among = f" ({MOST_NODES} of the nodes)" if series.num_nodes > MOST_NODES else ""
        parts = " and over parts of them" if len(list(_stretches(series))) > 1 else ""
        return Found(
            f"Held against targets up to {leads} row{'' if leads == 1 else 's'} later, of their own node and of "
            f"others{among}, over all rows{parts}, no feature tells {100 * SHARE:g}% or more of what the past leaves "
            f"open, but for what tells as much of the target of its own row, "
            f"{'repeats itself, or is said to be known ahead' if series.known_ahead else 'or repeats itself'}."
        )
    worst = max(found, key=lambda one: (one.is_leak, one.share))
    names = series.node_names
    whose = "its own target" if worst.target == worst.node else f"the target of {names[worst.target]!r}"
    what = f"how far {whose} is from its median" if worst.sizes else whose
    steps = f"{worst.lead} row{'' if worst.lead == 1 else 's'}"
    where = f" in {worst.stretch}" if worst.stretch else ""
    others = sorted({one.feature for one in found} - {worst.feature})
    told = [repr(series.feature_names[one]) if series.feature_names else str(one) for one in others]
    more = f"; so do features {', '.join(told)}" if others else ""
    detail = (
        f"{feature_in_words(series, worst.feature)} of node {names[worst.node]!r} tells {what} {steps} later{where} "
        f"far better than the past does (R² of ranks {worst.beside:.2f} beside the past, {worst.past:.2f} by the past "
        f"alone){more}"
    )
    if worst.is_leak:
        return Found(detail, leak=True)
    return Found(f"{detail}: is it known at the time of the forecast?", warning=True)


def telling_features(series: GraphSeries, reach: int) -> list[Telling]:
    """The features that tell of targets up to `reach` rows later; of each the clearest case.

    All values are turned into normal scores of their ranks, node by node, so that a square, a logarithm or any other
    monotone form of a target is as telling as the target. Of a stretch of rows (the whole series, its thirds, the test
    rows), with y the target, f the feature and P what is known at row t without it (y and |y| at t … t − 3, the mean of
    all nodes, two harmonics of the season),

        r² = corr(f_t − E[f_t | P], y_{t+h} − E[y_{t+h} | P])²,     h = 1 … reach,

    for f and |f|, for y and |y|, with P as it is and with f at t − 1 and t − 2 in it. It is a sign where it is `SHARE`
    or more, and more than noise shows in one of a hundred runs over all these tests (χ², over the rows that do not
    overlap). A feature that tells as much of the target of its own row is a covariate, and passes, as does one that
    repeats itself exactly: the calendar is known ahead. Features that are said to be known ahead are not looked at.
    What is left is confirmed by regressions out of fold.

    Source:
        Frisch and Waugh, "Partial time regressions as compared with individual trends", 1933; Haugh, "Checking the
        independence of two covariance-stationary time series", 1976, for cross-correlations of what the past leaves.
    """
    values = series.values.detach().cpu()
    target = normal_scores(forward_filled(values[..., 0]))
    observed = values[..., 0].isfinite()
    told = {}
    for feature in sorted({*range(1, series.num_features)} - set(series.known_ahead)):
        raw = forward_filled(values[..., feature])
        if not _repeats(raw, series.season):
            told[feature] = normal_scores(raw)
    stretches = list(_stretches(series))
    tests = len(stretches) * max(1, len(told))
    found: dict[int, Telling] = {}
    for name, rows in stretches if told else ():
        stretch = _Stretch(target, observed, rows, reach, series.season, tests)
        for feature, scores in told.items():
            best = _clearest(stretch, scores)
            if best is None:
                continue
            one = Telling(feature, *best[:4], name, *best[4:])
            if feature not in found or (one.is_leak, one.share) > (found[feature].is_leak, found[feature].share):
                found[feature] = one
    return list(found.values())


def _stretches(series: GraphSeries) -> Iterator[tuple[str, range]]:
    """Names and rows; a leak may be in some rows alone."""
    first, last = LAGS, series.num_rows - 1
    yield "", range(first, last)
    third = series.num_rows // 3
    thirds = (range(first, third), range(third, 2 * third), range(2 * third, last))
    for name, rows in zip(("first", "second", "last"), thirds, strict=True):
        if len(rows) >= FEWEST_ROWS:
            yield f"the {name} third of the rows", rows
    test = range(series.split.test.start, last)
    if len(test) >= FEWEST_ROWS:
        yield "the test rows", test


def _leads(rows: range, reach: int) -> int:
    """How many rows later targets of a stretch are looked at."""
    return max(1, min(reach, LEADS, len(rows) // 4))


def _repeats(raw: Tensor, season: int | None) -> bool:
    """Whether a feature has the same values some number of rows before, all along: it is known ahead."""

    def same(period: int, rows: int, nodes: int) -> bool:
        now, before = raw[period : period + rows, :nodes], raw[:-period][:rows, :nodes]
        return bool(((now - before).abs() <= 1e-5 * (1 + now.abs())).float().mean() >= 0.999)

    periods = {*range(1, 2100), *((season, 7 * season) if season else ())}
    near = (period for period in sorted(periods) if 2 * period <= len(raw) and same(period, 256, 1))
    return any(same(period, len(raw), raw.size(1)) for period in near)


Sign = tuple[float, int, int, int, bool]
"""r², node, node of the target, lead, and whether it is on the size of the target alone."""


class _Stretch:
    """Some rows: what is known at each, and what that leaves open in the targets after it."""

    def __init__(
        self, target: Tensor, observed: Tensor, rows: range, reach: int, season: int | None, tests: int
    ) -> None:
        self.target, self.observed, self.season = target, observed, season
        self.nodes = target.size(1)
        self.leads = list(range(1, _leads(rows, reach) + 1))
        self.span = len(rows) - self.leads[-1]
        count = min(self.span, max(4 * FEWEST_ROWS, min(ROWS, VALUES // self.nodes)))
        self.rows = torch.from_numpy(np.linspace(rows[0], rows[0] + self.span - 1, count).astype(np.int64)).unique()
        self.all = torch.arange(self.nodes)
        self.base = _orthonormal(self.past(self.all)).float()  # [N, R, p]
        later = torch.stack([target[self.rows + lead].T for lead in self.leads], dim=2)  # [N, R, H]
        seen = torch.stack([observed[self.rows + lead].T for lead in self.leads], dim=2)
        # For a target that was not observed nothing is open.
        self.rest = _without(torch.cat([later, later.abs()], dim=2), self.base) * seen.repeat(1, 1, 2)
        own = 8 * self.nodes * len(self.leads) * tests
        self.noise = torch.tensor([max(SHARE, self.by_chance(lead, own)) for lead in self.leads]).repeat(2)
        some = np.linspace(0, self.nodes - 1, min(self.nodes, MOST_NODES)).astype(np.int64)
        self.some = torch.from_numpy(some).unique()
        others = len(self.some) ** 2 * len(self.leads) * tests
        self.noise_of_others = torch.tensor([max(SHARE, self.by_chance(lead, others)) for lead in self.leads])
        # [M, H, R]
        self.rest_of_some = _unit(self.rest[self.some][..., : len(self.leads)].transpose(1, 2))

    def by_chance(self, lead: int, tests: int) -> float:
        """The r² that noise passes in one of many tests with the chance `LEVEL` over all of them."""
        free = max(min(len(self.rows), self.span / lead), 2.0)
        return 1 - math.exp(-float(special.chdtri(1, LEVEL / tests)) / free)

    def past(self, targets: Tensor, since: int = 0) -> Tensor:
        """[n, R, p]: what is known at each row, `since` rows before it, of the targets of some nodes."""
        rows = self.rows - since
        columns = [self.target[rows - lag][:, targets] for lag in range(LAGS)]
        columns += [column.abs() for column in columns]
        columns.append(self.target[rows].mean(dim=1, keepdim=True).expand_as(columns[0]))
        if self.season:
            for turn in (1, 2):
                angle = 2 * math.pi * turn * self.rows / self.season
                columns += [part[:, None].expand_as(columns[0]) for part in (angle.sin(), angle.cos())]
        columns.append(torch.ones_like(columns[0]))
        return torch.stack(columns, dim=2).transpose(0, 1).double()

    def told(self, scores: Tensor, nodes: Tensor) -> Tensor:
        """[n, R, 2]: the feature at each row, and its size."""
        now = scores[self.rows][:, nodes].T
        return torch.stack([now, now.abs()], dim=2)

    def before(self, scores: Tensor, nodes: Tensor) -> Tensor:
        """[n, R, 2]: the feature at the two rows before."""
        return torch.stack([scores[self.rows - lag][:, nodes].T for lag in (1, 2)], dim=2)


def _clearest(stretch: _Stretch, scores: Tensor) -> tuple[int, int, int, bool, float, float] | None:
    """The clearest sign of the future that regressions out of fold confirm, with R² of the past and beside it."""
    found = _own(stretch, scores) + _of_others(stretch, scores)
    # What tells the target tells how far it is from its median too: of two that are alike to rounding, the plain one.
    signs = sorted(found, key=lambda sign: (round(sign[0], 3), not sign[4], sign[1:4]), reverse=True)
    for _, node, other, lead, sizes in signs[:6]:
        past, beside = _out_of_fold(stretch, scores, node, other, lead, sizes)
        share = (beside - past) / max(1 - past, 1e-9)
        if share >= SHARE and share > _share_of_the_present(stretch, scores, node, other, sizes):
            return node, other, lead, sizes, past, beside
    return None


def _own(stretch: _Stretch, scores: Tensor) -> list[Sign]:
    """Signs in features and targets of the same node."""
    told = _without(stretch.told(scores, stretch.all), stretch.base)  # [N, R, 2]
    lags = _orthonormal(_without(stretch.before(scores, stretch.all), stretch.base).double()).float()
    found: list[Sign] = []
    count = len(stretch.leads)
    for part, rest in ((told, stretch.rest), (_without(told, lags), _without(stretch.rest, lags))):
        known = part.square().sum(dim=1)[..., None]
        shares = (part.transpose(1, 2) @ rest).square() / (known * rest.square().sum(dim=1)[:, None]).clamp(min=1e-9)
        shares = torch.where(known > 1e-5 * len(stretch.rows), shares, 0.0).amax(dim=1)  # [N, 2 H]
        best, place = torch.where(shares >= stretch.noise, shares, 0.0).max(dim=1)
        found += [
            (float(best[node]), node, node, stretch.leads[int(place[node]) % count], int(place[node]) >= count)
            for node in best.nonzero().flatten().tolist()
        ]
    return found


def _of_others(stretch: _Stretch, scores: Tensor) -> list[Sign]:
    """The clearest signs in features and targets of different nodes."""
    some = stretch.some
    if len(some) < 2:
        return []
    told = _unit(_without(stretch.told(scores, some)[..., :1], stretch.base[some])[..., 0])  # [M, R]
    shares = (told @ stretch.rest_of_some.flatten(0, 1).T).square().view(len(some), len(some), -1)
    shares.diagonal(dim1=0, dim2=1).zero_()
    best, place = torch.where(shares >= stretch.noise_of_others, shares, 0.0).flatten(0, 1).max(dim=1)
    found: list[Sign] = []
    for pair in best.topk(min(6, len(best))).indices.tolist():
        node, other = (int(some[at]) for at in divmod(pair, len(some)))
        if best[pair] > 0:
            found.append((float(best[pair]), node, other, stretch.leads[int(place[pair])], False))
    return found


def _out_of_fold(
    stretch: _Stretch, scores: Tensor, node: int, other: int, lead: int, sizes: bool
) -> tuple[float, float]:
    """R² of the past alone, and of the past and the feature, on blocks of rows that the fit left out.

    The past is that with the feature's own or without it: the pair that is clearer. Worse than the mean it is not.
    """
    later, seen = stretch.target[stretch.rows + lead, other].double(), stretch.observed[stretch.rows + lead, other]
    later = later.abs() if sizes else later
    told, before = (part(scores, torch.tensor([node]))[0].double() for part in (stretch.told, stretch.before))
    alone = stretch.past(torch.tensor([other]))[0]
    pairs = []
    for past in (alone, torch.cat([alone, before], dim=1)):
        beside = torch.cat([past, told], dim=1)
        pairs.append((max(_r2(past[seen], later[seen]), 0.0), _r2(beside[seen], later[seen])))
    return max(pairs, key=lambda pair: (pair[1] - pair[0]) / max(1 - pair[0], 1e-9))


def _share_of_the_present(stretch: _Stretch, scores: Tensor, node: int, other: int, sizes: bool) -> float:
    """The same of the target of the feature's own row, given what was known one row before."""
    now = stretch.target[stretch.rows, other].double()
    now = now.abs() if sizes else now
    told, before = (part(scores, torch.tensor([node]))[0].double() for part in (stretch.told, stretch.before))
    alone, shares = stretch.past(torch.tensor([other]), since=1)[0], []
    for past in (alone, torch.cat([alone, before], dim=1)):
        known, beside = max(_r2(past, now), 0.0), _r2(torch.cat([past, told], dim=1), now)
        shares.append((beside - known) / max(1 - known, 1e-9))
    return max(shares)


def _without(columns: Tensor, base: Tensor) -> Tensor:
    """[n, R, c]: what an orthonormal base leaves of some columns."""
    return columns - base @ (base.transpose(1, 2) @ columns)


def _orthonormal(columns: Tensor) -> Tensor:
    """[n, R, p]: an orthonormal base of the columns; those that add nothing are zero."""
    base, triangle = torch.linalg.qr(columns)
    size = triangle.diagonal(dim1=1, dim2=2).abs()
    return base * (size > 1e-6 * size.amax(dim=1, keepdim=True))[:, None]


def _unit(rows: Tensor) -> Tensor:
    """Rows of length 1, in single precision; those without a length are zero."""
    size = rows.norm(dim=-1, keepdim=True)
    return torch.where(size > 1e-6, rows / size.clamp(min=1e-9), 0.0).float()


def _r2(x: Tensor, y: Tensor) -> float:
    """1 − the squared errors of forecasts out of fold ÷ those of the mean."""
    count = len(y)
    if count < 2 * FOLDS * FOLDS:
        return 0.0
    errors, spread = 0.0, 0.0
    eye = 1e-6 * count * torch.eye(x.size(1), dtype=x.dtype)
    edges = np.linspace(0, count, FOLDS + 1).astype(int).tolist()
    for start, stop in itertools.pairwise(edges):
        kept = torch.cat([torch.arange(start), torch.arange(stop, count)])
        weights = torch.linalg.solve(x[kept].T @ x[kept] + eye, x[kept].T @ y[kept])
        errors += float((y[start:stop] - x[start:stop] @ weights).square().sum())
        spread += float((y[start:stop] - y[kept].mean()).square().sum())
    return 1 - errors / max(spread, 1e-12)
