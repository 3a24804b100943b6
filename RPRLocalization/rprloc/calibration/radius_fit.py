"""Fitting what foretells the error of an answer, on answers whose errors are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ..errors import InputError
from ..model.radius import FEATURES, RadiusSettings

#: The share of the errors that lie below the radius.
COVERED = 0.9
#: Fewer answers than this say nothing of their worst tenth.
LEAST_ANSWERS = 200
#: Errors below this are within the marking's own accuracy.
LEAST_ERROR_MM = 1.0
#: Holds the weights of features that say the same from growing against each other.
RIDGE = 1e-3
ROUNDS, STEP = 1500, 0.02
#: Radii beyond this quantile of the errors were hardly seen when the radius was fitted.
LARGEST_QUANTILE = 0.999


def fit_radius(
    features: Sequence[Mapping[str, float]],
    errors_mm: Sequence[float],
    source: str,
    doubtful_mm: float = 25.0,
) -> RadiusSettings:
    """Regress the 90 % quantile of the error's logarithm on the measures of doubt.

    The weights of what grows with the doubt are held at 0 or above, so that more doubt never gives
    a smaller radius; ``single`` and ``landmark`` tell kinds of answers apart and are free.

    Args:
        features: of every answer (``Doubts.features``).
        errors_mm: how far off each was: of the landmark, or of the box's centre.
        source: which CTs they come from, for the card.
        doubtful_mm: an answer with a larger radius is of low confidence.

    Raises:
        InputError: there are too few answers, or some are not numbers.
    """
    if len(errors_mm) < LEAST_ANSWERS:
        raise InputError(
            f"a radius needs {LEAST_ANSWERS} answers with known errors, but there are "
            f"{len(errors_mm)}"
        )
    x = np.array([[row[name] for name in FEATURES] for row in features], dtype=np.float64)
    errors = np.maximum(np.asarray(errors_mm, dtype=np.float64), LEAST_ERROR_MM)
    if not (np.isfinite(x).all() and np.isfinite(errors).all()):
        raise InputError("the features or errors of some answers are not numbers")

    intercept, weights = _quantile_regression(x, np.log(errors))
    named = {n: round(float(w), 4) for n, w in zip(FEATURES, weights, strict=True) if abs(w) > 1e-4}
    return RadiusSettings(
        intercept=round(intercept, 4),
        weights=named,
        smallest_mm=round(float(np.quantile(errors, 0.05)), 1),
        largest_mm=round(float(np.quantile(errors, LARGEST_QUANTILE)), 0),
        doubtful_mm=doubtful_mm,
        source=source,
    )


def _quantile_regression(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Intercept and weights of the ``COVERED`` quantile of ``y`` (n,) on ``x`` (n, f)."""
    scale = x.std(0)
    used = scale > 1e-9
    middle = x.mean(0)
    z = torch.tensor((x[:, used] - middle[used]) / scale[used])
    goal = torch.tensor(y)
    free = torch.tensor(
        [n in ("single", "landmark") for n, u in zip(FEATURES, used, strict=True) if u]
    )

    raw = torch.full((z.shape[1],), -1.0, dtype=torch.float64, requires_grad=True)
    start = torch.tensor(float(np.quantile(y, COVERED)), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw, start], lr=STEP)
    for _ in range(ROUNDS):
        weights = torch.where(free, raw + 1.0, F.softplus(raw))
        left = goal - start - z @ weights
        loss = torch.maximum(COVERED * left, (COVERED - 1.0) * left).mean()
        optimizer.zero_grad()
        (loss + RIDGE * weights.square().sum()).backward()
        optimizer.step()

    weights = torch.where(free, raw + 1.0, F.softplus(raw)).detach()
    found = np.zeros(x.shape[1])
    found[used] = weights.numpy() / scale[used]
    # The quantile itself once more, exactly: the steps only come near it.
    rest = y - x @ found
    return float(np.quantile(rest, COVERED)), found


def coverage(radii_mm: Sequence[float], errors_mm: Sequence[float]) -> float:
    """Share of the errors that lie within their radius."""
    inside = [e <= r for r, e in zip(radii_mm, errors_mm, strict=True)]
    return math.fsum(inside) / max(1, len(inside))
