"""Template matching of gray values.

The paper's alternatives GS MSE, GS Cosine and GS NCC (Table 3), by FFT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rprloc.image.volume import Volume

from ..core.cohort import Patient
from .patch_grid import PATCH, PatchGrid, patch_grid
from .patch_matching import Example, PatchMatching, Start
from .sliding_window import MEASURES, Measure, Windows, best_window


@dataclass(frozen=True, eq=False)
class GrayQuery:
    """A query's lattice and its windows."""

    grid: PatchGrid
    windows: Windows


class GrayScale(PatchMatching):
    """Patches of 48 x 64 x 64 mm around the extreme points, sought in all windows of stride 2."""

    name: ClassVar[str] = "gray"
    titles: ClassVar[dict[str, str]] = {
        "gs-mse": "Template matching, gray-scale MSE",
        "gs-cosine": "Template matching, gray-scale cosine",
        "gs-ncc": "Template matching, gray-scale NCC",
    }

    def prepare(self, reference: Patient) -> dict[str, Example]:
        """Organ -> patches around its extreme points."""
        return self.examples(reference)

    def encode(self, query: Volume) -> GrayQuery:
        """All windows of the query."""
        grid = patch_grid(query)
        return GrayQuery(grid, Windows(grid.values, PATCH, self.context.threads))

    def starts(self, encoded: GrayQuery, organ: Example) -> dict[str, list[Start | None]]:
        """Best windows by the measures that were asked for."""
        measures = [m for m in MEASURES if variant_of(m) in self.variants]
        starts: dict[str, list[Start | None]] = {variant_of(m): [] for m in measures}
        for patch in organ.patches:
            for measure, likeness in encoded.windows.likeness(patch, measures).items():
                starts[variant_of(measure)].append(best_window(likeness))
        return starts


def variant_of(measure: Measure) -> str:
    """Id of the variant that uses a measure."""
    return f"gs-{measure}"
