from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rprloc.errors import InputError
from rprloc.evaluation.metrics import box_iou, landmark_error, wall_distance
from rprloc.geometry import Box, Frame, Points

COORDINATES = hnp.arrays(np.float64, (2, 3), elements=st.floats(-500, 500, width=32))
BOXES = COORDINATES.map(lambda corners: Box(corners.min(axis=0), corners.max(axis=0), Frame.LPS))
OFFSETS = hnp.arrays(np.float64, 3, elements=st.floats(-50, 50, width=32))


def test_known_overlap() -> None:
    a = Box([0, 0, 0], [10, 10, 10])
    b = Box([5, 0, 0], [15, 10, 10])
    assert box_iou(a, b) == pytest.approx(1 / 3)
    assert wall_distance(a, b) == pytest.approx(10 / 6)


def test_apart_touching_and_flat_boxes_score_zero() -> None:
    a = Box([0, 0, 0], [10, 10, 10])
    assert box_iou(a, Box([20, 20, 20], [30, 30, 30])) == 0.0
    assert box_iou(a, Box([10, 0, 0], [20, 10, 10])) == 0.0
    flat = Box([0, 0, 0], [0, 10, 10])
    assert box_iou(flat, flat) == 0.0


@given(BOXES, BOXES)
def test_symmetric_bounded_and_independent_of_frame(a: Box, b: Box) -> None:
    iou = box_iou(a, b)
    assert 0.0 <= iou <= 1.0
    assert box_iou(b, a) == iou
    assert box_iou(a.to(Frame.RAS), b) == pytest.approx(iou)
    assert wall_distance(a, b.to(Frame.RAS)) == pytest.approx(wall_distance(b, a))


@given(BOXES, OFFSETS)
def test_wall_distance_of_a_moved_box_is_its_mean_shift(box: Box, offset: np.ndarray) -> None:
    moved = Box(box.lower + offset, box.upper + offset)
    assert wall_distance(box, moved) == pytest.approx(np.abs(offset).mean(), abs=1e-9)


def test_landmark_error_knows_frames() -> None:
    a = Points([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    b = Points([[-1.0, -2.0, 3.0], [3.0, 4.0, 0.0]], Frame.RAS)
    np.testing.assert_allclose(landmark_error(a, b), [0.0, 5.0])


def test_landmark_error_refuses_different_numbers_of_points() -> None:
    with pytest.raises(InputError, match="1 points with 2"):
        landmark_error(Points([[0.0, 0.0, 0.0]]), Points(np.zeros((2, 3))))
