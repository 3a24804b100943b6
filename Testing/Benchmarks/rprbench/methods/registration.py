"""What a Slicer user would do without this extension.

Register the reference to the query, carry the mask over.

SimpleITK at 4 mm, body only: a search along the patient axis, an affine transform, then cubic
B-splines with control points 70 mm apart, both by Mattes mutual information
(Testing/registration.py; chosen on pairs of ``val``). The organ's mask goes through the transform
to the voxels of the query (linear, cut at 0.5); its box is the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from registration import Settings, Subject, affine, bspline, subject_of

from rprloc.geometry import Geometry
from rprloc.image.volume import Volume
from rprloc.targets.target import target_from_mask

from ..core.cohort import Patient
from ..core.method import Answers, Context, Detection, Method
from .ours import chosen

SPACING_MM = 4.0
BSPLINE_REFERENCES = 2
QUICK_SETTINGS = Settings(sampling=0.05, affine_iterations=20, bspline_iterations=2)
TITLES = {
    "affine": "SimpleITK affine registration",
    "bspline": "SimpleITK affine + B-spline registration",
}

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PreparedReference:
    """A reference made ready: its masks and their lattice, and whether B-splines are asked for."""

    subject: Subject
    masks: dict[str, Mask]
    geometry: Geometry
    with_bspline: bool


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """A query made ready, and the lattice of its voxels."""

    subject: Subject
    geometry: Geometry


class Registration(Method):
    """Affine with every reference, B-splines with the first two only.

    They take most of the time.
    """

    name = "registration"

    def __init__(self, context: Context, only: Iterable[str] | None = None) -> None:
        super().__init__(context)
        self._titles = chosen(TITLES, only)
        self.parameters = QUICK_SETTINGS if context.quick else Settings()
        self._bspline_with: list[str] | None = None

    @property
    def variants(self) -> dict[str, str]:
        """The transforms that were asked for."""
        return self._titles

    def settings(self) -> dict[str, Any]:
        """Spacing, parameters, and for how many references B-splines are computed."""
        return {
            "spacing": SPACING_MM,
            "bspline_references": BSPLINE_REFERENCES,
            **asdict(self.parameters),
        }

    def limit_references(self, names: Sequence[str]) -> list[str]:
        """All; remembers the first of them, which get B-splines as well."""
        self._bspline_with = list(names)[:BSPLINE_REFERENCES]
        return list(names)[: 1 if self.context.quick else None]

    def prepare(self, reference: Patient) -> PreparedReference:
        """Image and masks of the reference."""
        assert reference.labels is not None
        masks = {organ: reference.labels.mask(reference.ids[organ]) for organ in reference.organs}
        with_bspline = self._bspline_with is None or reference.name in self._bspline_with
        return PreparedReference(
            subject_of(reference.volume, SPACING_MM), masks, reference.labels.geometry, with_bspline
        )

    def encode(self, query: Volume) -> EncodedQuery:
        """Image of the query."""
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(self.context.threads)
        return EncodedQuery(subject_of(query, SPACING_MM), query.geometry)

    def find(
        self, encoded: EncodedQuery, prepared: PreparedReference, organs: Sequence[str]
    ) -> Answers:
        """Register the reference, and take the boxes of its masks on the query."""
        start = affine(encoded.subject, prepared.subject, self.parameters)
        transforms: dict[str, sitk.Transform] = (
            {"affine": start} if "affine" in self._titles else {}
        )
        if "bspline" in self._titles and prepared.with_bspline:
            transforms["bspline"] = bspline(
                encoded.subject, prepared.subject, start, self.parameters
            )
        return {
            variant: carried_boxes(t, encoded.geometry, prepared, organs)
            for variant, t in transforms.items()
        }


def carried_boxes(
    transform: sitk.Transform, onto: Geometry, prepared: PreparedReference, organs: Sequence[str]
) -> dict[str, Detection]:
    """Box of every organ's mask after the transform (query -> reference).

    None where nothing of it arrives.
    """
    moved = on_lattice(transform, onto)
    return {
        organ: _detection(carried(prepared.masks[organ], prepared.geometry, moved, onto), onto)
        for organ in organs
    }


def _detection(mask: Mask, geometry: Geometry) -> Detection:
    return Detection(target_from_mask("organ", mask, geometry).box if mask.any() else None)


def image_of(array: npt.NDArray[Any], geometry: Geometry) -> sitk.Image:
    """SimpleITK image of an array (k, j, i)."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing.tolist())
    image.SetOrigin(geometry.origin.tolist())
    image.SetDirection(geometry.direction.ravel().tolist())
    return image


def on_lattice(transform: sitk.Transform, geometry: Geometry) -> sitk.Transform:
    """The same map as a displacement per voxel of ``geometry``.

    Computed once, then fast for every organ.
    """
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        [int(n) for n in geometry.size],
        geometry.origin.tolist(),
        geometry.spacing.tolist(),
        geometry.direction.ravel().tolist(),
    )
    return sitk.DisplacementFieldTransform(field)


def carried(mask: Mask, geometry: Geometry, transform: sitk.Transform, onto: Geometry) -> Mask:
    """``mask`` of the reference on the voxels of the query (linear, 0.5 and above).

    The transform leads from the query to the reference.
    """
    arrived = sitk.Resample(
        image_of(mask.astype(np.float32), geometry),
        [int(n) for n in onto.size],
        transform,
        sitk.sitkLinear,
        onto.origin.tolist(),
        onto.spacing.tolist(),
        onto.direction.ravel().tolist(),
        0.0,
    )
    return np.asarray(sitk.GetArrayFromImage(arrived) >= 0.5)
