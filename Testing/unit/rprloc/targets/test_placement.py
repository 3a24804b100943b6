"""Targets against their CT: in the patient, inside the scan, and on the CT that they name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.samples import LABEL_IDS, phantom_geometry, phantom_hu, phantom_labels

from rprloc.errors import InputError
from rprloc.geometry import Box, Geometry, Points
from rprloc.image.volume import Volume
from rprloc.targets.placement import lattice_conflict, usable_targets
from rprloc.targets.target import Target, target_from_box, target_from_mask, target_from_point

AT = phantom_geometry()
HEAD = (0.0, 0.0, 190.0)
CORNER = (160.0, -100.0, 270.0)


@pytest.fixture(scope="module")
def ct() -> Volume:
    return Volume(phantom_hu(AT), AT, "ct")


def point(*xyz: float) -> Target:
    return target_from_point("P", Points(np.array([xyz])))


def box(centre: tuple[float, ...], size: float) -> Target:
    return target_from_box("B", Box.from_center_size(np.array(centre), np.full(3, size)))


def organ(lattice: Geometry = AT, labels: np.ndarray | None = None, name: str = "Head") -> Target:
    found = phantom_labels(AT) if labels is None else labels
    return target_from_mask(name, found == LABEL_IDS[name], lattice)


def refusal(target: Target, ct: Volume) -> str:
    with pytest.raises(InputError) as caught:
        usable_targets([target], ct)
    return str(caught.value)


def test_what_lies_in_the_patient_has_no_notes(ct: Volume) -> None:
    usable = usable_targets([point(*HEAD), box(HEAD, 40.0), organ()], ct)
    assert [target.notes for target in usable.targets] == [(), (), ()]
    assert usable.left_out == ()


def test_a_landmark_in_air_is_refused_with_its_distance(ct: Volume) -> None:
    assert "lies in air, 1" in refusal(point(*CORNER), ct)
    assert "is it marked on this CT?" in refusal(point(*CORNER), ct)


def test_a_landmark_just_off_the_skin_gets_a_note(ct: Volume) -> None:
    skin = max(
        z
        for z in np.arange(190.0, 280.0)
        if usable_targets([point(0.0, 0.0, z)], ct).targets[0].notes == ()
    )
    (target,) = usable_targets([point(0.0, 0.0, skin + 4)], ct).targets
    assert "in air" in target.notes[0]


def test_a_box_in_air_is_refused_and_one_half_in_air_noted(ct: Volume) -> None:
    assert "lies in air" in refusal(box(CORNER, 20.0), ct)
    (target,) = usable_targets([box((120.0, 0.0, 190.0), 80.0)], ct).targets
    assert "lie in the body" in target.notes[0]


def test_one_bad_target_costs_itself_only(ct: Volume) -> None:
    usable = usable_targets([replace(point(*CORNER), name="air"), organ()], ct)
    assert [target.name for target in usable.targets] == ["Head"]
    (left_out,) = usable.left_out
    assert (left_out.name, left_out.kind) == ("air", "landmark")
    assert "lies in air" in left_out.reason


def test_exchanged_signs_are_recognized(ct: Volume) -> None:
    moved = Volume(ct.array, shifted(400.0, 0.0, 0.0), "ct")
    text = refusal(point(-400.0, 0.0, 190.0), moved)
    assert "RAS" in text


def test_an_organ_at_the_end_of_the_scan_is_told(ct: Volume) -> None:
    mask = np.zeros(ct.array.shape, dtype=bool)
    mask[:8, 15:23, 25:33] = True
    (target,) = usable_targets([target_from_mask("Cord", mask, AT)], ct).targets
    assert target.notes == ("it is cut by the end of the scan, and its box ends there",)


def shifted(*mm: float) -> Geometry:
    return replace(AT, origin=AT.origin + np.array(mm))


def flipped(axis: int) -> Geometry:
    """The same space, its voxels in the other order along one axis of the file."""
    ends = np.zeros(3)
    ends[axis] = AT.size[axis] - 1
    direction = AT.direction.copy()
    direction[:, axis] *= -1
    return Geometry(AT.size, AT.spacing, AT.index_to_lps(ends[None]).xyz[0], direction)


@pytest.mark.parametrize(
    ("lattice", "words"),
    [
        (shifted(20.0, 0, 0), "origin 20 mm apart"),
        (replace(AT, spacing=np.ones(3)), "voxels of 1 x 1 x 1 instead of 6 x 6 x 6 mm"),
        (replace(AT, direction=np.diag([1.0, 1.0, -1.0])), "other directions"),
    ],
)
def test_the_cts_voxels_in_another_place_are_refused(
    ct: Volume, lattice: Geometry, words: str
) -> None:
    text = refusal(organ(lattice), ct)
    assert "lies elsewhere" in text
    assert words in text


def test_half_a_voxel_is_no_other_place(ct: Volume) -> None:
    assert lattice_conflict(shifted(2.0, 0, 0), AT) == ""
    assert lattice_conflict(AT, AT) == ""


def test_a_lattice_of_its_own_is_quiet(ct: Volume) -> None:
    finer = Geometry((116, 76, 104), AT.spacing / 2, AT.origin, AT.direction)
    labels = phantom_labels(finer)
    (target,) = usable_targets([organ(finer, labels)], ct).targets
    assert target.notes == ()


def test_labels_that_fit_voxel_by_voxel_only_are_refused(ct: Volume) -> None:
    assert "voxel by voxel" in refusal(organ(flipped(2), name="Spine"), ct)


def test_labels_stored_in_another_order_on_purpose_get_a_note(ct: Volume) -> None:
    stored = np.ascontiguousarray(phantom_labels(AT)[::-1])
    (target,) = usable_targets([organ(flipped(2), stored)], ct).targets
    assert "in another order" in target.notes[0]
    assert target.box == organ().box
