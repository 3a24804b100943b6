"""All methods of the comparison, and how to make each one with a single variant (for its times)."""

from __future__ import annotations

from collections.abc import Callable

from ..core.method import Context, Method
from .autoencoder import FeatureMap
from .detector import Detector
from .gray_scale import GrayScale
from .ours import Ours, Runs
from .paper_patches import Patchwise
from .proportional import Proportional
from .registration import Registration

METHODS: tuple[Callable[[Context], Method], ...] = (
    Ours,
    Runs,
    Patchwise,
    Proportional,
    GrayScale,
    FeatureMap,
    Registration,
    Detector,
)

TIMED: dict[str, Callable[[Context], Method]] = {
    "ours-coarse": lambda c: Ours(c, only=["ours-coarse"]),
    "ours-coarse3": lambda c: Ours(c, only=["ours-coarse3"]),
    "ours-fine": lambda c: Ours(c, only=["ours-fine"]),
    "paper-positions": lambda c: Patchwise(c, only=["paper-positions"], one_by_one=True),
    "proportional": Proportional,
    "gs-mse": lambda c: GrayScale(c, only=["gs-mse"]),
    "gs-cosine": lambda c: GrayScale(c, only=["gs-cosine"]),
    "gs-ncc": lambda c: GrayScale(c, only=["gs-ncc"]),
    "fm-mse": lambda c: FeatureMap(c, only=["fm-mse"]),
    "fm-cosine": lambda c: FeatureMap(c, only=["fm-cosine"]),
    "affine": lambda c: Registration(c, only=["affine"]),
    "bspline": lambda c: Registration(c, only=["bspline"]),
    "detector": Detector,
}


def titles(context: Context) -> dict[str, str]:
    """Variant -> title, of all methods."""
    return {variant: title for make in METHODS for variant, title in make(context).variants.items()}
