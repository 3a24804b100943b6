"""Registration of two CTs of different patients and fields of view."""

from __future__ import annotations

import numpy as np
import registration as reg
from support.phantoms import body_hu, centres

from rprloc.geometry import Geometry
from rprloc.image.volume import Volume

EYE = np.eye(3)


def phantom(scale: float, low: float, slices: int, shift: tuple[float, float, float]) -> Volume:
    """Head and shoulders with another size, field of view and position."""
    geometry = Geometry((58, 38, slices), np.full(3, 6.0), np.array([-170.0, -110.0, low]), EYE)
    hu = np.asarray(np.rint(body_hu(centres(geometry), scale=scale)), dtype=np.int16)
    moved = Geometry(geometry.size, geometry.spacing, geometry.origin + shift, EYE)
    return Volume(hu, moved, "phantom")


def test_registration_finds_a_shifted_larger_body_with_another_field_of_view() -> None:
    shift = (200.0, -50.0, 900.0)
    fixed = reg.subject_of(phantom(1.0, -20.0, 52, (0.0, 0.0, 0.0)), 6.0)
    moving = reg.subject_of(phantom(1.05, 28.0, 42, shift), 6.0)
    assert moving.image.GetSize()[2] < fixed.image.GetSize()[2]
    transform = reg.affine(fixed, moving, reg.Settings(sampling=0.5, affine_iterations=60))
    points = np.array(
        [[0.0, 0.0, 190.0], [40.0, 0.0, 160.0], [-30.0, 20.0, 210.0], [0.0, -40.0, 190.0]]
    )
    mapped = np.array([transform.TransformPoint(point.tolist()) for point in points])
    expected = 1.05 * points + shift
    assert np.linalg.norm(mapped - expected, axis=1).max() < 6.0


def test_slices_beyond_the_field_of_view_are_cut() -> None:
    hu = np.full((12, 10, 10), -1000.0, dtype=np.float32)
    hu[3:9, 2:8, 2:8] = 40.0
    assert reg.field_of_view(hu) == (3, 8)
