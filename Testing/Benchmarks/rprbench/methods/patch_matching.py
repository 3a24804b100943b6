"""What gray-value and feature matching share.

A patch around each extreme point, a box from the six found points.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rprloc.geometry import Box, FloatArray
from rprloc.localization.locator import box_walls

from ..core.cohort import Patient
from ..core.method import Answers, Context, Detection, Method
from .patch_grid import PATCH, SPACING, STRIDE, WINDOW_HU, FloatVolume, PatchGrid, patch_grid

Start = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Example:
    """An organ of a reference.

    patches: (6, *PATCH) around its extreme points, in the order of Target.points. rest: (6, 3) mm,
    x, y, z, from the centre of each patch to its point.
    """

    patches: FloatVolume
    rest: FloatArray


class PatchMatching(Method):
    """The window of a query that is most alike each patch of the reference.

    Its centre is the point.

    only: ids of the variants to compute; None for all. Raises ValueError for an unknown one.
    """

    titles: ClassVar[dict[str, str]]

    def __init__(self, context: Context, only: Sequence[str] | None = None) -> None:
        super().__init__(context)
        unknown = set(only or ()) - set(self.titles)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: none of {', '.join(self.titles)}")
        self._variants = {
            name: t for name, t in self.titles.items() if only is None or name in only
        }

    @property
    def variants(self) -> dict[str, str]:
        """The measures that were asked for."""
        return dict(self._variants)

    def settings(self) -> dict[str, Any]:
        """The measures, the grid and the patches."""
        return {
            "variants": list(self._variants),
            "grid_mm": SPACING,
            "patch": PATCH,
            "stride": STRIDE,
            "window_hu": WINDOW_HU,
        }

    def examples(self, reference: Patient) -> dict[str, Example]:
        """Patches of every organ of a reference."""
        grid = patch_grid(reference.volume)
        return {
            name: Example(*grid.cut(target.points.xyz)) for name, target in reference.organs.items()
        }

    @abstractmethod
    def starts(self, encoded: Any, organ: Any) -> dict[str, list[Start | None]]:
        """Variant -> first voxel of the best window for each of the six points.

        None where nothing is alike.

        ``encoded`` is what ``encode`` returned (``encoded.grid``: the query's PatchGrid),
        ``organ`` what ``prepare`` returned for an organ (``organ.rest``: as in Example).
        """

    def find(self, encoded: Any, prepared: Any, organs: Sequence[str]) -> Answers:
        """Box of the six best windows of every organ, by every measure."""
        answers: Answers = {variant: {} for variant in self._variants}
        for organ in organs:
            rest = prepared[organ].rest
            for variant, starts in self.starts(encoded, prepared[organ]).items():
                answers[variant][organ] = _detection(encoded.grid, starts, rest)
        return answers


def _detection(grid: PatchGrid, starts: Sequence[Start | None], rest: FloatArray) -> Detection:
    placed = [start for start in starts if start is not None]
    if len(placed) < len(starts):
        return Detection(None)
    return Detection(Box(*box_walls(grid.window_centres(np.array(placed)) + rest)))
