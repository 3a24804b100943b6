"""How far off an answer may be: a radius in mm, foretold from the measures of doubt.

No torch: Slicer reads model cards without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: What the radius is foretold from; see ``rprloc.localization.confidence.Doubts.features``.
FEATURES = (
    *("spread", "cycle", "unlike", "missing", "beyond", "fine_shift", "apart", "single"),
    *("landmark", "unlikeness", "short", "votes_apart"),
    *("disagree", "vague", "unlike_around", "unsteady"),
)


@dataclass(frozen=True)
class RadiusSettings:
    """``radius90 = exp(intercept + sum of weight * feature)``: 90 % of the errors are below it.

    Fitted on patients whose right answers are known (``rprloc.calibration.radius_fit``).

    Attributes:
        intercept: of the logarithm of the radius in mm.
        weights: by feature (``FEATURES``); 0 for those that are not named.
        smallest_mm, largest_mm: between which every radius lies: what was seen when it was fitted.
        doubtful_mm: an answer with a larger radius is of low confidence.
        source: which CTs these numbers were fitted on.
    """

    intercept: float
    weights: Mapping[str, float] = field(default_factory=dict)
    smallest_mm: float = 1.0
    largest_mm: float = 300.0
    doubtful_mm: float = 25.0
    source: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(FEATURES))
        if unknown:
            raise ValueError(f"radius: there is no feature {unknown[0]!r}")
        lengths = (self.smallest_mm, self.largest_mm, self.doubtful_mm)
        numbers = (self.intercept, *self.weights.values(), *lengths)
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise TypeError("radius: a value is not a number")
        if not all(math.isfinite(n) for n in numbers) or not 0 < lengths[0] <= lengths[1]:
            raise ValueError("radius: a value is impossible")

    def radius_mm(self, features: Mapping[str, float]) -> float:
        """The radius of an answer with these features."""
        total = self.intercept + sum(w * features[name] for name, w in self.weights.items())
        bounds = math.log(self.smallest_mm), math.log(self.largest_mm)
        return math.exp(min(max(total, bounds[0]), bounds[1]))

    def to_json(self) -> dict[str, Any]:
        """Return the block of the model card."""
        return {**asdict(self), "weights": dict(self.weights)}

    @classmethod
    def from_json(cls, data: Any) -> RadiusSettings | None:
        """Read the block; None where a card has none. Raises ValueError, TypeError, KeyError."""
        if data is None:
            return None
        if not isinstance(data, dict) or not isinstance(data.get("weights", {}), dict):
            raise TypeError("radius, which must be an object")
        names = ("intercept", "weights", "smallest_mm", "largest_mm", "doubtful_mm", "source")
        return cls(**{name: data[name] for name in names if name in data})
