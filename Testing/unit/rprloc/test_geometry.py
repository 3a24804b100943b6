"""Points, boxes and lattices in their frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.phantoms import rotation

from rprloc.errors import InputError
from rprloc.geometry import Box, Frame, Geometry, Points

COORDINATES = st.floats(-500, 500)
TRIPLES = st.tuples(COORDINATES, COORDINATES, COORDINATES)
SPACINGS = st.tuples(*[st.floats(0.2, 6.0)] * 3)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    turns = draw(st.tuples(*[st.floats(-3, 3)] * 3))
    direction = rotation(turns)[:, draw(st.permutations(range(3)))]
    direction = direction * np.array(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    size = draw(st.tuples(*[st.integers(1, 300)] * 3))
    return Geometry(size, np.array(draw(SPACINGS)), np.array(draw(TRIPLES)), direction)


@settings(deadline=None)
@given(st.lists(TRIPLES, max_size=5), st.sampled_from(Frame))
def test_points_change_frame_and_back(xyz: list[tuple[float, float, float]], frame: Frame) -> None:
    points = Points(np.array(xyz).reshape(-1, 3), frame)
    other = Frame.RAS if frame is Frame.LPS else Frame.LPS
    there = points.to(other)
    assert there.frame is other
    assert np.array_equal(there.xyz, points.xyz * [-1, -1, 1])
    assert there.to(frame) == points


def test_points_can_be_indexed() -> None:
    points = Points(np.arange(12.0).reshape(4, 3), Frame.RAS)
    assert len(points) == 4
    assert points[1] == Points(np.array([[3.0, 4.0, 5.0]]), Frame.RAS)
    assert points[1:3].xyz.shape == (2, 3)
    assert points[np.array([True, False, False, True])].xyz[1, 0] == 9
    assert [p.xyz[0, 0] for p in points] == [0, 3, 6, 9]


def test_points_are_a_copy_that_cannot_change() -> None:
    source = np.zeros((2, 3))
    points = Points(source)
    source[0, 0] = 7
    assert points.xyz[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        points.xyz[0, 0] = 1


@pytest.mark.parametrize(
    "bad", [np.zeros(3), np.zeros((2, 2)), [[0, 0, np.nan]], [[0, np.inf, 0]], [["a", 0, 0]]]
)
def test_points_refuse_other_shapes_and_numbers(bad: npt.ArrayLike) -> None:
    with pytest.raises(InputError, match="Points"):
        Points(np.array(bad))


@settings(deadline=None)
@given(st.lists(TRIPLES, min_size=1, max_size=6), st.sampled_from(Frame))
def test_box_changes_frame_and_stays_ordered(
    xyz: list[tuple[float, float, float]], frame: Frame
) -> None:
    points = Points(np.array(xyz), frame)
    box = Box.from_points(points)
    for other in Frame:
        moved = box.to(other)
        assert moved.frame is other
        assert (moved.lower <= moved.upper).all()
        assert moved == Box.from_points(points.to(other))
        assert np.allclose(moved.size, box.size)
        assert np.allclose(Points(moved.center[None], other).to(frame).xyz[0], box.center)
        assert moved.to(frame) == box


@settings(deadline=None)
@given(TRIPLES, st.tuples(*[st.floats(0, 100)] * 3))
def test_box_from_center_and_size(center: tuple[float, ...], size: tuple[float, ...]) -> None:
    box = Box.from_center_size(center, size, Frame.RAS)
    assert np.allclose(box.center, center)
    assert np.allclose(box.size, size, atol=1e-9)
    assert box.volume == pytest.approx(np.prod(size), abs=1e-6)
    assert Box.from_points(box.corners()) == box
    assert len(np.unique(Box.from_center_size(center, (1, 2, 3)).corners().xyz, axis=0)) == 8


def test_box_refuses_crossed_walls_and_nothing() -> None:
    with pytest.raises(InputError, match="above the upper"):
        Box(np.array([0.0, 2.0, 0.0]), np.array([1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="no points"):
        Box.from_points(Points(np.zeros((0, 3))))
    with pytest.raises(InputError, match="negative"):
        Box.from_center_size((0, 0, 0), (1, -1, 1))


@settings(deadline=None)
@given(geometries(), st.lists(TRIPLES, min_size=1, max_size=4), st.sampled_from(Frame))
def test_index_and_lps_are_inverse(
    geometry: Geometry, xyz: list[tuple[float, float, float]], frame: Frame
) -> None:
    points = Points(np.array(xyz), frame)
    index = geometry.lps_to_index(points)
    assert np.allclose(geometry.index_to_lps(index).to(frame).xyz, points.xyz, atol=1e-6)
    homogeneous = np.c_[index, np.ones(len(index))] @ geometry.ijk_to_lps.T
    assert np.allclose(homogeneous[:, :3], points.to(Frame.LPS).xyz, atol=1e-6)
    again = Geometry.from_matrix(geometry.ijk_to_lps, geometry.size)
    assert np.allclose(again.ijk_to_lps, geometry.ijk_to_lps)
    assert np.allclose(again.spacing, geometry.spacing)


@settings(deadline=None)
@given(geometries())
def test_bounds_hold_all_voxels_whole(geometry: Geometry) -> None:
    last = np.array(geometry.size) - 1
    ends = np.array([[(n >> axis) & 1 for axis in range(3)] for n in range(8)])
    outer = geometry.index_to_lps(ends * (last + 1) - 0.5)
    bounds = geometry.bounds()
    assert bounds.frame is Frame.LPS
    assert np.allclose(bounds.lower, outer.xyz.min(axis=0))
    assert np.allclose(bounds.upper, outer.xyz.max(axis=0))
    assert geometry.contains(outer).all()
    assert geometry.contains(geometry.index_to_lps(ends * last).to(Frame.RAS)).all()


@settings(deadline=None)
@given(geometries(), st.integers(0, 2), st.booleans())
def test_contains_ends_at_the_wall(geometry: Geometry, axis: int, upper: bool) -> None:
    index = (np.array(geometry.size) - 1) / 2
    sign = 1 if upper else -1
    index[axis] += sign * (geometry.size[axis] / 2 + 2 / geometry.spacing[axis])
    beyond_by_two = geometry.index_to_lps(index[None])
    assert not geometry.contains(beyond_by_two)[0]
    assert not geometry.contains(beyond_by_two, margin_mm=1.9)[0]
    assert geometry.contains(beyond_by_two, margin_mm=2.1)[0]


def test_a_known_lattice() -> None:
    geometry = Geometry(
        (10, 20, 30), np.array([1.0, 2.0, 3.0]), np.array([-5.0, 7.0, 9.0]), np.eye(3)
    )
    assert np.array_equal(geometry.index_to_lps([[1, 1, 1]]).xyz, [[-4, 9, 12]])
    assert np.array_equal(geometry.bounds().lower, [-5.5, 6, 7.5])
    assert np.array_equal(geometry.bounds().upper, [4.5, 46, 97.5])
    assert geometry == Geometry.from_matrix(geometry.ijk_to_lps, (10, 20, 30))
    assert geometry != Geometry.from_matrix(geometry.ijk_to_lps, (10, 20, 31))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing": np.array([1.0, 0.0, 1.0])}, "above 0 mm"),
        ({"spacing": np.array([1.0, -1.0, 1.0])}, "above 0 mm"),
        ({"spacing": np.array([1.0, np.nan, 1.0])}, "NaN"),
        ({"origin": np.array([1.0, np.inf, 1.0])}, "NaN or infinite"),
        ({"direction": np.array([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]])}, "sheared"),
        ({"direction": np.eye(3) * 2}, "unit length"),
        ({"direction": np.zeros((3, 3))}, "unit length"),
        ({"size": (0, 1, 1)}, "at least 1"),
    ],
)
def test_unusable_lattices_are_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "size": (4, 4, 4),
        "spacing": np.ones(3),
        "origin": np.zeros(3),
        "direction": np.eye(3),
    }
    Geometry(**good)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        Geometry(**{**good, **change})  # type: ignore[arg-type]


def test_unusable_matrices_are_refused() -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    with pytest.raises(InputError, match="sheared"):
        Geometry.from_matrix(sheared, (2, 2, 2))
    with pytest.raises(InputError, match="above 0"):
        Geometry.from_matrix(np.diag([1.0, 0, 1, 1]), (2, 2, 2))
    with pytest.raises(InputError, match="last row"):
        Geometry.from_matrix(np.ones((4, 4)), (2, 2, 2))
    with pytest.raises(InputError, match="shape"):
        Geometry.from_matrix(np.eye(3), (2, 2, 2))
