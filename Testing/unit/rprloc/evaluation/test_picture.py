from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rprloc.errors import OutputError
from rprloc.evaluation.picture import save_picture
from rprloc.geometry import Box, Frame, Geometry
from rprloc.image.planes import AXIAL, CORONAL, SAGITTAL, cut_slice
from rprloc.image.volume import Volume
from rprloc.localization.result import Result
from rprloc.targets.target import target_from_box

pytest.importorskip("matplotlib")

from rprloc.evaluation import picture


def head() -> Volume:
    """An ellipsoid of soft tissue with a dense spot at the patient's left, front and top."""
    geometry = Geometry((40, 36, 30), np.full(3, 5.0), np.array([-90.0, -80.0, -70.0]), np.eye(3))
    z, y, x = np.mgrid[0:30, 0:36, 0:40]
    body = ((x - 20) / 18) ** 2 + ((y - 18) / 16) ** 2 + ((z - 15) / 13) ** 2 < 1
    hu = np.where(body, 40, -1000).astype(np.int16)
    hu[20:23, 8:11, 27:30] = 1000
    return Volume(hu, geometry, "phantom")


def spot() -> Result:
    return Result(
        "q", "spot", "box", "ok", "", np.array([50.0, -35.0, 35.0]), np.full(3, 15.0), 1.0, 1.0
    )


def pixels_of(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(path))[..., :3]


def test_picture_is_written_with_every_status(tmp_path: Path) -> None:
    results = [
        spot(),
        Result(
            "q", "unsure $x$", "box", "low-confidence", "scatter", np.zeros(3), np.full(3, 40.0)
        ),
        Result("q", "tip", "landmark", "ok", "", np.array([10.0, 0.0, 0.0])),
        Result("q", "gone", "box", "outside", "not in this CT"),
        Result("q", "broken", "landmark", "failed", "no body"),
    ]
    save_picture(tmp_path / "p.png", head(), results, "title $ " * 40, synthetic=True)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]
    assert (pixels_of(tmp_path / "p.png").std(axis=2) > 0.1).sum() > 500


@pytest.mark.parametrize("results", [[], [Result("q", "gone", "box", "outside", "not in this CT")]])
def test_picture_without_a_found_target_shows_the_whole_ct(
    tmp_path: Path, results: list[Result]
) -> None:
    save_picture(tmp_path / "p.png", head(), results, "nothing")
    assert pixels_of(tmp_path / "p.png").shape[0] > 400


def test_many_targets(tmp_path: Path) -> None:
    places = np.random.default_rng(0).uniform(-40, 40, (80, 3))
    results = [
        Result("q", f"a rather long name {n}", "landmark", "ok", "", xyz)
        for n, xyz in enumerate(places)
    ]
    save_picture(tmp_path / "p.png", head(), results, "many")
    assert (tmp_path / "p.png").exists()


def test_slices_follow_the_radiological_convention() -> None:
    volume = head()
    lower, upper = volume.geometry.bounds().lower, volume.geometry.bounds().upper
    for plane, column_high, row_high in [
        (AXIAL, True, False),
        (CORONAL, True, False),
        (SAGITTAL, False, False),
    ]:
        at = spot().center
        assert at is not None
        image = cut_slice(volume, plane, float(at[plane.normal]), lower, upper)
        rows, columns = np.nonzero(image > 500)
        assert (columns.mean() > image.shape[1] / 2) == column_high
        assert (rows.mean() > image.shape[0] / 2) == row_high
        left, right, bottom, top = plane.extent(lower, upper)
        x = left + (columns.mean() + 0.5) / image.shape[1] * (right - left)
        y = top + (rows.mean() + 0.5) / image.shape[0] * (bottom - top)
        assert [x, y] == pytest.approx([at[plane.right], at[plane.up]], abs=1.0)


def test_slices_do_not_depend_on_the_storage_order() -> None:
    volume = head()
    lower, upper = volume.geometry.bounds().lower, volume.geometry.bounds().upper
    matrix = volume.geometry.ijk_to_lps[:, [2, 0, 1, 3]]
    matrix[:3, 3] += matrix[:3, 1] * 39
    matrix[:3, 1] *= -1
    array = np.flip(volume.array.transpose(1, 2, 0), 1)
    other = Volume(array, Geometry.from_matrix(matrix, (30, 40, 36)), "stored otherwise")
    for plane in (AXIAL, CORONAL, SAGITTAL):
        a, b = (cut_slice(v, plane, 12.0, lower, upper) for v in (volume, other))
        np.testing.assert_allclose(a, b, atol=1e-2)


def test_every_found_target_has_slices_through_its_centre_with_its_truth_in_view() -> None:
    center, true = np.array([30.0, -35.0, 25.0]), np.array([42.0, -35.0, 25.0])
    located = Result("q", "organ", "box", "ok", "", center, np.full(3, 15.0))
    tip = Result("q", "tip", "landmark", "low-confidence", "scatter", np.zeros(3))
    gone = Result("q", "gone", "box", "outside", "not in this CT")
    lower, upper = true - 7.5, true + 7.5
    truth = [target_from_box("organ", Box(lower, upper, Frame.LPS))]
    panels = picture._panels(head(), [located, tip, gone], truth)
    assert len(panels) == 2
    np.testing.assert_allclose(panels[0].center, center)
    assert (panels[0].lower < lower).all() and (panels[0].upper > upper).all()
    assert "centre 12.0 mm off" in panels[0].caption
    assert panels[1].truth is None and "low-confidence" in panels[1].caption
    assert not panels[1].sure


def test_truth_is_drawn_as_a_white_outline(tmp_path: Path) -> None:
    organ = Result("q", "organ", "box", "ok", "", np.zeros(3), np.full(3, 15.0))
    corner = np.full(3, 20.0)
    truth = [target_from_box("organ", Box(-corner, corner, Frame.LPS))]
    save_picture(tmp_path / "without.png", head(), [organ], "t")
    save_picture(tmp_path / "with.png", head(), [organ], "t", truth=truth)
    without, with_truth = (
        int((pixels_of(tmp_path / name).min(axis=2) > 0.9).sum())
        for name in ("without.png", "with.png")
    )
    assert with_truth > without + 300


@pytest.mark.parametrize("cells", [1, 2, 8, 24])
def test_page_is_filled_and_about_square(cells: int) -> None:
    columns = picture._columns(cells)
    rows = -(-cells // columns)
    assert columns * rows - cells < max(columns, 2)
    width, height = picture._cell_inches()
    assert cells == 1 or 1 / 3 < columns * width / (rows * height) < 3


def test_without_matplotlib_there_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(OutputError, match="matplotlib is not installed"):
        save_picture(tmp_path / "p.png", head(), [spot()], "t")


def test_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_picture(tmp_path / "absent" / "p.png", head(), [spot()], "t")
