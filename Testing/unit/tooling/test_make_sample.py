from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.paths import SAMPLE_DATA as SAMPLE
from support.paths import TESTING, TRUNK_SAMPLE

from rprloc.image.volume import read_volume
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import load_targets
from rprloc.targets.markups import PointMark, read_markups
from rprloc.targets.placement import check_inside

sys.path.insert(0, str(TESTING / "SampleData"))

import average_patient as ap
import deform
import groupwise as gw
import make_sample as ms
import trunk_organs

SPREAD = deform.Spread(scale=0.05, rotation_deg=2.0, bend_mm=5.0, reach_mm=30.0)


def image_of(
    array: np.ndarray, spacing: float, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([spacing] * 3)
    image.SetOrigin(origin)
    return image


def toy_average() -> ap.Average:
    """A cylinder of soft tissue along z with a dense ball, which is the only organ."""
    z, y, x = np.meshgrid(np.arange(50), np.arange(46), np.arange(46), indexing="ij")
    ball = (z - 25) ** 2 + (y - 23) ** 2 + (x - 20) ** 2 < 8**2
    hu = np.where((y - 23) ** 2 + (x - 23) ** 2 < 18**2, 40, -1000)
    hu[ball] = 1200
    organ = image_of(np.where(ball, 2.0, 0.0).astype(np.float32), 3.0)
    return ap.Average(
        image_of(hu.astype(np.int16), 3.0), {"Ball": organ}, (9.0, 135.0), 30, {"Ball": 9}
    )


def test_random_fields_repeat_do_not_fold_and_have_the_wanted_length() -> None:
    fields = [
        deform.random_field(np.random.default_rng(3), [0, 0, 0], [200, 160, 180], SPREAD)
        for _ in range(2)
    ]
    first, second = (sitk.GetArrayFromImage(field) for field in fields)
    assert np.array_equal(first, second)
    assert deform.smallest_jacobian(fields[0]) > 0.3
    assert np.sqrt(np.square(first).sum(axis=-1).mean()) == pytest.approx(SPREAD.bend_mm, rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_random_affine_keeps_its_centre_and_its_limits(seed: int) -> None:
    transform = deform.random_affine(np.random.default_rng(seed), [10, 20, 30], SPREAD)
    assert transform.TransformPoint((10.0, 20.0, 30.0)) == pytest.approx((10.0, 20.0, 30.0))
    scales = np.linalg.svd(np.array(transform.GetMatrix()).reshape(3, 3), compute_uv=False)
    assert np.abs(scales - 1).max() <= SPREAD.scale + 1e-9


@pytest.mark.parametrize("storage", [ms.REFERENCE, ms.QUERY])
def test_a_lattice_fills_its_box_in_any_axis_order(storage: ms.Storage) -> None:
    lower, upper = np.array([-50.0, 20.0, 300.0]), np.array([47.0, 133.0, 391.0])
    image = ms.lattice_in(lower, upper, storage)
    corners = [
        image.TransformContinuousIndexToPhysicalPoint(c)
        for c in ((-0.5,) * 3, np.array(image.GetSize()) - 0.5)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    assert (low >= lower + storage.cut_lower - 1e-6).all() and (
        high <= upper - storage.cut_upper + 1e-6
    ).all()
    assert (
        np.abs(high - low - (upper - lower - storage.cut_lower - storage.cut_upper))
        < max(storage.spacing)
    ).all()


def test_labels_follow_the_image_exactly_in_both_storages() -> None:
    average = toy_average()
    for seed, storage in enumerate((ms.REFERENCE, ms.QUERY)):
        rng = np.random.default_rng(seed)
        transform = ms.random_patient(average, rng, SPREAD)
        image, labels = ms.deformed(average, transform, storage, {"Ball": 5}, rng)
        assert image.GetOrigin() == pytest.approx(storage.origin)
        assert image.GetDirection() == pytest.approx(storage.direction.ravel())
        dense, organ = sitk.GetArrayFromImage(image) > 620, sitk.GetArrayFromImage(labels) == 5
        assert organ.sum() > 500
        assert 2 * (dense & organ).sum() / (dense.sum() + organ.sum()) > 0.93
        assert set(np.unique(sitk.GetArrayFromImage(labels)).tolist()) == {0, 5}
        assert sitk.GetArrayFromImage(image).min() >= -1024
        assert image.GetPixelID() == sitk.sitkInt16


def test_median_ignores_what_was_not_scanned() -> None:
    stack = np.array([[10, -5000, 7], [30, 50, -5000], [20, 70, -5000]], dtype=np.int16).reshape(
        3, 1, 1, 3
    )
    hu, count = gw.median(stack, 2)
    assert hu.ravel().tolist() == [20, 60, gw.AIR_HU]
    assert count.ravel().tolist() == [3, 2, 1]


def test_the_slab_is_the_longest_run_of_covered_tissue() -> None:
    hu = np.full((10, 4, 4), -1000, dtype=np.int16)
    hu[:, 1:3, 1:3] = 50
    count = np.full(hu.shape, 40)
    count[2, 1, 1] = count[8, 2, 2] = 29
    count[5, 0, 0] = 0
    assert ap.covered_slab(count, image_of(hu, 3.0, (0.0, 0.0, 100.0)), 30) == (109.0, 121.0)
    with pytest.raises(ValueError, match="30 patients"):
        ap.covered_slab(count * 0, image_of(hu, 3.0), 30)


def test_mean_organs_keep_their_volume() -> None:
    maps = np.zeros((4, 12, 12, 12), dtype=np.float32)
    for shift in range(4):
        maps[shift, 2 + shift : 7 + shift, 3:8, 3:8] = 1.0
    assert (ap.level_map(maps) >= 1.0).sum() == pytest.approx(125, abs=25)


def test_affine_placements_lose_their_common_scale() -> None:
    empty = gw.zero_field(image_of(np.zeros((4, 4, 4), dtype=np.float32), 4.0))
    placements = []
    for scale in (1.1, 1.3, 1.2):
        transform = sitk.AffineTransform(3)
        transform.SetMatrix((np.eye(3) * scale).ravel().tolist())
        placements.append(gw.Placement(transform, empty))
    matrices = [p.affine.GetMatrix() for p in gw.unbiased(placements)]
    assert np.mean(matrices, axis=0) == pytest.approx(np.eye(3).ravel())


def test_recentred_fields_have_no_mean() -> None:
    lattice = image_of(np.zeros((12, 12, 12), dtype=np.float32), 4.0)
    shifts = [sitk.TranslationTransform(3, (mm, 0.0, 0.0)) for mm in (1.0, 2.0, 6.0)]
    placements = [
        gw.Placement(sitk.AffineTransform(3), gw.field_of(shift, lattice)) for shift in shifts
    ]
    middle = [
        p.transform.TransformPoint((22.0, 22.0, 22.0))[0] - 22.0 for p in gw.recentred(placements)
    ]
    assert middle == pytest.approx([-2.0, -1.0, 3.0], abs=0.05)


def test_an_average_is_kept_for_a_rerun(tmp_path: Path) -> None:
    assert ms.load(tmp_path) is None
    average = toy_average()
    ms.save(average, tmp_path)
    again = ms.load(tmp_path)
    assert again is not None
    assert (again.slab, again.patients, again.contours) == (average.slab, 30, {"Ball": 9})
    assert np.array_equal(
        sitk.GetArrayFromImage(again.organs["Ball"]), sitk.GetArrayFromImage(average.organs["Ball"])
    )


@pytest.mark.parametrize("place", [(-30.0, 10.0, 200.0), (40.0, -25.0, 150.0)])
def test_a_place_is_found_back_through_the_bending(place: tuple[float, float, float]) -> None:
    low, high = np.array([-100.0, -80.0, 50.0]), np.array([100.0, 80.0, 300.0])
    rng = np.random.default_rng(7)
    field = sitk.DisplacementFieldTransform(deform.random_field(rng, low, high, deform.Spread()))
    affine = deform.random_affine(rng, (low + high) / 2, deform.Spread())
    transform = sitk.CompositeTransform([affine, field])
    found = ms.preimage(transform, place)
    assert np.linalg.norm(found - place) > 1.0
    assert transform.TransformPoint(found.tolist()) == pytest.approx(place, abs=1e-3)


def test_landmarks_of_a_pair_lie_where_its_organs_do(tmp_path: Path) -> None:
    average = toy_average()
    region = ms.Region(
        ms.HEAD_AND_NECK.source, (ms.REFERENCE, ms.QUERY), 1, 0.0, {"Middle": (60.0, 69.0, 75.0)}
    )
    ms.make_pair(average, {"Ball": 5}, tmp_path, 2, region)
    for name in ("reference", "query"):
        (ball,) = load_targets(tmp_path / f"{name}.labels.nii.gz", tmp_path / "label_ids.json")
        (mark,) = read_markups(tmp_path / f"{name}.landmarks.mrk.json")
        assert isinstance(mark, PointMark) and mark.name == "Middle" and ball.box is not None
        assert mark.position.xyz.ravel() == pytest.approx(ball.box.center, abs=4.0)


def test_a_drawn_organ_keeps_to_its_box_and_leaves_what_hangs_by_a_thread() -> None:
    hu = np.full((40, 40, 40), -1000, dtype=np.int16)
    hu[5:35, 5:35, 5:35] = 0
    hu[10:20, 10:20, 10:20] = hu[10:20, 10:20, 24:34] = 70
    hu[14, 14, 20:24] = 70
    organ = trunk_organs.SoftOrgan((45, 45, 39), (40.0, 100.0), (0, 0, 0), (120, 120, 48))
    canvas = trunk_organs.Canvas(image_of(hu, 3.0))
    drawn = trunk_organs.soft_organ(canvas, organ, np.zeros(hu.shape, dtype=bool))
    z, _, x = np.argwhere(drawn).T
    assert x.max() < 22 and z.max() <= 17 and drawn.sum() > 300
    with pytest.raises(ValueError, match="another average"):
        canvas.piece(hu > 500, (45.0, 45.0, 45.0), 1)


@pytest.mark.parametrize("folder", [SAMPLE, TRUNK_SAMPLE], ids=lambda folder: folder.name)
def test_the_samples_in_the_repository(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3_000_000
    assert "SYNTHETIC, not a patient" in (folder / "SOURCE.md").read_text(encoding="utf-8")
    ids = json.loads((folder / "label_ids.json").read_text(encoding="utf-8"))
    orders = set()
    for name in ("reference", "query"):
        volume = read_volume(folder / f"{name}.nii.gz")
        labels = read_label_map(folder / f"{name}.labels.nii.gz")
        assert labels.geometry == volume.geometry
        targets = load_targets(folder / f"{name}.labels.nii.gz", folder / "label_ids.json")
        assert [target.name for target in targets] == list(ids)
        check_inside(targets, volume.geometry)
        orders.add(tuple(np.abs(volume.geometry.direction).argmax(axis=0).tolist()))
    assert len(orders) == 2
