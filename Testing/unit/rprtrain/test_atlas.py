"""The atlas of the training CTs: placements, registration to the mean, pairs across patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.phantoms import body_hu

from rprloc.errors import InputError
from rprloc.image.resampling import IsotropicVolume
from rprloc.model.network_config import PnetConfig
from rprtrain.atlas import cross_patient
from rprtrain.atlas.atlas import Atlas
from rprtrain.atlas.building import mean_image
from rprtrain.atlas.cross_patient import CrossPatientPairs
from rprtrain.atlas.placement import Lattice, Placement
from rprtrain.atlas.registration import (
    Level,
    agreement,
    bending,
    local_correlation,
    placed,
    register,
    windowed,
)
from rprtrain.config import COARSE
from rprtrain.data.dataset import TrainingVolume
from rprtrain.random_stream import RandomStream
from rprtrain.views.view_pair import make_view_pair

ORIGIN = np.array([-170.0, -110.0, -20.0])
SHAPE = (31, 23, 34)
TINY = COARSE.with_changes(
    net=PnetConfig(stem=4, stages=((8, 1), (8, 1)), head=8),
    spacing=10.0,
    crop=(32, 32, 40),
    smallest_mm=80.0,
)


def patient(
    name: str, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), scale: float = 1.0
) -> TrainingVolume:
    """A phantom whose body is moved by ``shift_mm`` (x, y, z) and scaled, on a grid of 10 mm."""
    zyx = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1)
    lps = zyx[..., ::-1] * 10.0 + ORIGIN - np.array(shift_mm)
    return TrainingVolume.from_grid(
        name, IsotropicVolume(body_hu(lps, scale=scale).astype(np.float32), ORIGIN, 10.0)
    )


def lattice(cell_mm: float = 24.0) -> Lattice:
    return Lattice(torch.tensor([-170.0, -110.0, -20.0]), 24.0, (14, 11, 16)).with_cells(cell_mm)


def still(matrix: torch.Tensor | None = None) -> Placement:
    control = lattice()
    return Placement(
        torch.eye(3) if matrix is None else matrix,
        torch.zeros(3),
        torch.zeros((1, 3, *control.shape)),
        control,
    )


def test_points_of_a_lattice_have_their_own_index() -> None:
    points = lattice().points()
    index = lattice().to_index(points.reshape(-1, 3)).reshape(points.shape)
    assert index[3, 5, 7].tolist() == [3.0, 5.0, 7.0]


def test_a_finer_lattice_covers_the_same_block() -> None:
    fine = lattice(8.0)
    assert torch.equal(fine.points()[0, 0, 0], lattice().points()[0, 0, 0])
    assert torch.equal(fine.points()[-1, -1, -1], lattice().points()[-1, -1, -1])


def test_to_atlas_inverts_to_patient() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.eye(3) + 0.1 * torch.randn(3, 3, generator=generator)
    bent = 3.0 * torch.randn(still().displacement.shape, generator=generator)
    placement = replace(still(matrix), shift=torch.tensor([4.0, -20.0, 7.0]), displacement=bent)
    points = torch.rand(200, 3, generator=generator) * 150.0 - 40.0
    assert torch.allclose(placement.to_atlas(placement.to_patient(points)), points, atol=0.05)


def test_local_correlation_is_one_for_the_same_image_whatever_its_gain() -> None:
    image = torch.rand(1, 1, 12, 14, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(image)
    assert float(local_correlation(image, 3.0 - 2.0 * image, mask).mean()) > 0.95
    other = torch.rand(1, 1, 12, 14, 16, generator=torch.Generator().manual_seed(2))
    assert float(local_correlation(image, other, mask).mean()) < 0.1


def test_local_correlation_does_not_look_at_masked_voxels() -> None:
    image = torch.rand(1, 1, 12, 14, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(image)
    mask[:, :, 6:] = 0.0
    spoiled = torch.where(mask > 0, image, 100.0)
    here, there = local_correlation(image, image, mask), local_correlation(image, spoiled, mask)
    assert torch.allclose(here[:, :, :6], there[:, :, :6], atol=1e-4)


def test_bending_does_not_penalize_an_affine_displacement() -> None:
    points = lattice().points().permute(3, 0, 1, 2)[None]
    assert float(bending(0.2 * points + 3.0, 24.0)) < 1e-6
    assert float(bending(points.square() / 100.0, 24.0)) > 1e-2


def test_placed_reads_the_volume_where_the_point_is() -> None:
    volume = patient("a")
    points = volume.to_mm(volume.body[:50].float())
    values = placed(volume.hu.float()[None, None], volume, points.view(1, 1, -1, 3))
    index = volume.body[:50].long()
    assert torch.allclose(values[0, 0, 0, 0], volume.hu[tuple(index.T)].float(), atol=0.5)


def test_registration_brings_a_moved_phantom_back() -> None:
    here, moved = patient("here"), patient("moved", (12.0, -8.0, 10.0))
    mean = mean_image([here], {"here": still()}, lattice(8.0))
    before = agreement(mean, lattice(8.0), moved, still())
    placement = register(mean, lattice(8.0), moved, still(), Level(8.0, 40, 2.0, 0.3))
    assert agreement(mean, lattice(8.0), moved, placement) > max(0.9, before)
    middle = here.to_mm(here.body.float().mean(0, keepdim=True))
    found = placement.to_patient(middle) - middle
    assert torch.allclose(found, torch.tensor([[12.0, -8.0, 10.0]]), atol=6.0)


def atlas() -> tuple[Atlas, list[TrainingVolume]]:
    volumes = [patient("a"), patient("b", (20.0, 0.0, 0.0)), patient("c", (0.0, 10.0, 0.0))]
    moves = ((0.0, 0.0, 0.0), (20.0, 0.0, 0.0), (0.0, 10.0, 0.0))
    placements = {
        v.name: replace(still(), shift=torch.tensor(m)) for v, m in zip(volumes, moves, strict=True)
    }
    block = Lattice(lattice().origin, 4.0, (79, 61, 91))
    control = block.with_cells(12.0)
    zero = torch.zeros((1, 3, *control.shape))
    placements = {n: replace(p, displacement=zero, lattice=control) for n, p in placements.items()}
    return Atlas(placements, windowed(torch.zeros(1, 1, *block.shape)), block), volumes


def test_an_atlas_carries_points_between_patients_and_survives_the_disk(tmp_path: Path) -> None:
    made, _ = atlas()
    made.save(tmp_path / "atlas.ckpt")
    read = Atlas.load(tmp_path / "atlas.ckpt", torch.device("cpu"))
    points = torch.tensor([[0.0, 0.0, 50.0], [30.0, -20.0, 80.0]])
    assert torch.allclose(
        read.map_points("b", "c", points), points + torch.tensor([-20.0, 10.0, 0.0]), atol=1e-3
    )


def test_a_damaged_atlas_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "atlas.ckpt"
    path.write_bytes(b"not an atlas")
    with pytest.raises(InputError, match="damaged"):
        Atlas.load(path, torch.device("cpu"))
    torch.save({"step": 0, "names": ["a"]}, path)
    with pytest.raises(InputError, match="not an atlas"):
        Atlas.load(path, torch.device("cpu"))


def test_two_views_of_two_patients_show_the_same_anatomy(tmp_path: Path) -> None:
    made, volumes = atlas()
    across = CrossPatientPairs(tmp_path / "atlas.ckpt", COARSE, share=1.0)
    for n in range(5):
        partner = across.partner(made, volumes, 0, RandomStream("partner", n))
        assert partner is not None
        assert partner.volume.name != "a"
        source = volumes[0].body[:100].float()
        there = partner.map_points(source)
        shift = made.placements[partner.volume.name].shift
        expected = partner.volume.to_voxels(volumes[0].to_mm(source) + shift)
        assert torch.allclose(there, expected, atol=1e-3)
        scene = make_view_pair(volumes[0], partner, TINY, RandomStream("scene", n))
        first, second = (
            view.from_source(p)
            for view, p in zip(scene.views, scene.points(scene.focus[None]), strict=True)
        )
        assert scene.views[0].contains(first).all() and scene.views[1].contains(second).all()


def test_a_ct_that_is_not_in_the_atlas_has_no_partner(tmp_path: Path) -> None:
    made, volumes = atlas()
    stranger = replace(volumes[0], name="stranger")
    across = CrossPatientPairs(tmp_path / "atlas.ckpt", COARSE, share=1.0)
    assert across.partner(made, [stranger, *volumes], 0, RandomStream("x")) is None


def test_the_fine_stage_says_that_it_needs_the_atlas_of_the_coarse_one(tmp_path: Path) -> None:
    _, volumes = atlas()
    across = CrossPatientPairs(tmp_path / "atlas.ckpt", COARSE.with_changes(name="fine"))
    with pytest.raises(InputError, match="train the coarse stage first"):
        across.atlas(torch.nn.Identity(), volumes, torch.device("cpu"))


def test_what_cts_have_in_common_needs_no_coarse_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, volumes = atlas()
    monkeypatch.setattr(cross_patient, "chain", lambda found, _report: {v.name for v in found})
    monkeypatch.setattr(cross_patient, "build_atlas", lambda *_: made)
    stage = COARSE.with_changes(name="fine")
    across = CrossPatientPairs(tmp_path / "atlas.ckpt", stage, teacher="overlap")
    read = across.atlas(torch.nn.Identity(), volumes, torch.device("cpu"))
    assert read.placements.keys() == made.placements.keys()
    assert (tmp_path / "atlas.ckpt").exists()
