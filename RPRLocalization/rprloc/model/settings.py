"""What was calibrated for a model, and so belongs to its card: how it searches, and when it doubts.

No torch: Slicer reads model cards without it. The defaults are the values chosen on the validation
patients of han-ct; a card of schema version 1, which could not state its own, is read with them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from .radius import RadiusSettings

#: ``source`` of settings that nobody has calibrated for the model that carries them.
DEFAULTS_OF = "defaults (calibrated on han-ct)"


def _known(kind: type, data: Any) -> dict[str, Any]:
    """Return the entries of a JSON object that the dataclass has; a card may say more."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__}, which must be an object")
    return {f.name: data[f.name] for f in fields(kind) if f.name in data}


def _positive(settings: Any) -> None:
    """Raise ValueError unless every number is finite and above 0 (TypeError if it is none)."""
    for f in fields(settings):
        value = getattr(settings, f.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if f.name == "source" or number is None or is_dataclass(number):
                continue
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise TypeError(f"{f.name}: {number!r} is not a number")
            if not math.isfinite(number) or number <= 0:
                raise ValueError(f"{f.name}: {number!r} is not above 0")


@dataclass(frozen=True)
class MatchSettings:
    """One search for matching descriptors around an estimate.

    Attributes:
        radius_mm: how far from the estimate is searched.
        temperature: of the softmax over cosine similarities.
        prior_mm: standard deviation of the prior around the estimate.
    """

    radius_mm: float = 30.0
    temperature: float = 0.02
    prior_mm: float = 15.0

    def __post_init__(self) -> None:
        _positive(self)


@dataclass(frozen=True)
class SearchSettings:
    """How a model's votes and descriptors are combined (``search`` of the model card).

    Accuracy on the validation patients of han-ct changes by less than 0.5 IoU points when one of
    these is halved or doubled.

    Attributes:
        vote_bandwidths_mm: per round of coarse votes, the standard deviation of the Gaussian that
            weighs a cell by its distance from the last estimate; the first is as good as infinite.
        matches: the descriptor searches, one after the other, each closer than the one before.
        match_weight: share of an extreme point's own match in the result, the rest is its organ's.
        landmark_match_weight: the same for a landmark, which has no organ to hold it.
        fine_margin_mm: how far around the coarse estimates the fine field is computed.
        context_points: points per target (all examples together) beside its key points.
        ridge: of the robust affine map; larger holds an organ to its size on the reference.
        neighbourhood_mm: standard deviation of the weight of points outside of the organ's box.
        match_noise_mm: error of even the sharpest match.
    """

    vote_bandwidths_mm: tuple[float, ...] = (1e6, 90.0, 60.0, 45.0)
    matches: tuple[MatchSettings, ...] = (
        MatchSettings(),
        MatchSettings(radius_mm=20.0, prior_mm=8.0),
        MatchSettings(radius_mm=15.0, prior_mm=6.0),
    )
    match_weight: float = 0.1
    landmark_match_weight: float = 0.3
    fine_margin_mm: float = 75.0
    context_points: int = 240
    ridge: float = 0.1
    neighbourhood_mm: float = 30.0
    match_noise_mm: float = 4.0
    source: str = DEFAULTS_OF

    def __post_init__(self) -> None:
        _positive(self)
        if not self.vote_bandwidths_mm or not self.matches:
            raise ValueError("a search needs at least one round of votes and one match")
        if self.match_weight > 1.0 or self.landmark_match_weight > 1.0:
            raise ValueError("the weight of a match is at most 1")

    def to_json(self) -> dict[str, Any]:
        """Return the block of the model card."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> SearchSettings:
        """Read the block; what it does not name has its default. Raises ValueError, TypeError."""
        known = _known(cls, data)
        if "vote_bandwidths_mm" in known:
            known["vote_bandwidths_mm"] = tuple(float(v) for v in known["vote_bandwidths_mm"])
        if "matches" in known:
            known["matches"] = tuple(
                MatchSettings(**_known(MatchSettings, m)) for m in known["matches"]
            )
        return cls(**known)


@dataclass(frozen=True)
class ConfidenceThresholds:
    """Beyond which an answer is of low confidence (``confidence`` of the model card).

    Calibrated on the validation patients of han-ct: 99 % of the cycle-consistency errors of their
    complete organs are below 17 mm, all spreads below 14 mm, and 92 % of them miss less than a
    tenth of their surroundings. Where these scans were cut through an organ, 189 of 500 answers
    were ``ok`` and more than 20 mm off by the other measures, 10 with this one.

    Attributes:
        cycle_mm: cycle-consistency error. spread_mm: of the votes.
        similarity: cosine similarity of the matched descriptors, at least.
        missing: share of a target's surroundings that the scan does not show.
        outside_mm: how far a point may lie beyond the body before the target counts as cut.
        cycle_bandwidth_mm: standard deviation of the weights by which the points of a template vote
            on the way back.
        radius: from which measures the error is foretold; None: it is not.
        aligned: the same for answers that begin with the alignment of reference and query; None:
            they are not asked for.
        source: which CTs these numbers were chosen on.
    """

    cycle_mm: float = 20.0
    spread_mm: float = 20.0
    similarity: float = 0.3
    missing: float = 0.1
    outside_mm: float = 5.0
    cycle_bandwidth_mm: float = 40.0
    radius: RadiusSettings | None = None
    aligned: RadiusSettings | None = None
    source: str = DEFAULTS_OF

    def __post_init__(self) -> None:
        _positive(self)
        if self.similarity > 1.0 or self.missing > 1.0:
            raise ValueError("similarity and missing are at most 1")

    def to_json(self) -> dict[str, Any]:
        """Return the block of the model card."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("radius", "aligned"):
            block = data.pop(name)
            if block is not None:
                data[name] = block.to_json()
        return data

    @classmethod
    def from_json(cls, data: Any) -> ConfidenceThresholds:
        """Read the block; what it does not name has its default. Raises ValueError, TypeError."""
        known = _known(cls, data)
        for name in ("radius", "aligned"):
            if name in known:
                known[name] = RadiusSettings.from_json(known[name])
        return cls(**known)
