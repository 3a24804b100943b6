"""Feature matching of the benchmark.

One dense pass as window by window, training that resumes, and the timing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.phantoms import body_hu, centres

pytest.importorskip("scipy", reason="the benchmark needs scipy (extra: bench)")

from rprbench.core.cohort import ORGANS, Patient
from rprbench.core.method import Context
from rprbench.experiments.sliding_speed import SlidingTime, sampled_windows, window_counts
from rprbench.methods.autoencoder import (
    FeatureExample,
    FeatureMap,
    FeatureQuery,
    FeatureWindows,
    plain_feature_likeness,
)
from rprbench.methods.autoencoder_net import LATENT, AutoEncoder
from rprbench.methods.autoencoder_training import (
    PatchSource,
    TrainingPlan,
    patches_of,
    read_checkpoint,
    train_encoder,
)
from rprbench.methods.patch_grid import PATCH, PatchGrid, patch_grid
from rprloc.geometry import Box, Geometry, Points
from rprloc.image.volume import Volume
from rprloc.localization.locator import box_walls
from rprloc.targets.target import Target, target_from_box

PLAN = TrainingPlan(steps=12, batch=4)
CPU = torch.device("cpu")


def ct(name: str) -> Volume:
    lattice = Geometry((40, 40, 40), np.full(3, 4.5), np.array([-90.0, -90.0, 90.0]), np.eye(3))
    noise = np.random.default_rng(0).normal(0, 60, (40, 40, 40))
    return Volume((body_hu(centres(lattice)) + noise).astype(np.int16), lattice, name)


class OneHead:
    """A cohort in which everybody is the phantom."""

    def patient(self, name: str) -> Patient:
        boxes = {
            organ: target_from_box(organ, Box((-40, -40, 150), (30, 30, 200))) for organ in ORGANS
        }
        return Patient(name, ct(name), None, boxes, dict.fromkeys(ORGANS, 1))


def context(tmp_path: Path) -> Context:
    return Context(cohort=OneHead(), out=tmp_path, quick=True, threads=1, report=lambda line: None)  # type: ignore[arg-type]


def source() -> PatchSource:
    return PatchSource([patch_grid(ct("train")).values])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Batches this small gain nothing from threads, which wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rprbench.methods.autoencoder.patches_of", lambda *_: source())


def random_model() -> AutoEncoder:
    torch.manual_seed(3)
    return AutoEncoder().eval().requires_grad_(False)


@pytest.mark.parametrize("shape", [(22, 44, 40), (19, 41, 37), PATCH])
def test_one_dense_pass_is_every_window_alone(shape: tuple[int, int, int]) -> None:
    model, volume = (
        random_model(),
        torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2,
    )
    windows = volume.unfold(0, PATCH[0], 2).unfold(1, PATCH[1], 2).unfold(2, PATCH[2], 2)
    expected = model.encode(windows.reshape(-1, 1, *PATCH)).reshape(*windows.shape[:3], LATENT)
    assert expected.std() > 1e-3
    torch.testing.assert_close(
        model.encode_all(volume), expected.permute(3, 0, 1, 2), atol=1e-4, rtol=0
    )


def test_every_voxel_of_a_patch_counts() -> None:
    patch = torch.rand(
        (1, 1, *PATCH), generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    random_model().encode(patch).square().sum().backward()
    assert patch.grad is not None and (patch.grad != 0).all()


def test_decoded_patches_have_the_shape_of_patches() -> None:
    patches = torch.zeros(2, 1, *PATCH)
    assert random_model()(patches).shape == patches.shape


def test_the_loss_falls_and_a_finished_training_is_left_alone(tmp_path: Path) -> None:
    file, lines = tmp_path / "net" / "autoencoder.pt", list[str]()
    plan = replace(PLAN, steps=25)
    train_encoder(plan, source, file, CPU, lines.append)
    saved = read_checkpoint(file, plan)
    assert saved is not None and saved["step"] == 25
    assert np.mean(saved["losses"][-5:]) < 0.6 * np.mean(saved["losses"][:5])
    assert any("25/25" in line for line in lines)
    train_encoder(plan, lambda: pytest.fail("read for nothing"), file, CPU)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    through, killed = tmp_path / "through.pt", tmp_path / "killed.pt"
    train_encoder(PLAN, source, through, CPU, lambda line: None)

    def kill(line: str) -> None:
        if " 7/" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(PLAN, source, killed, CPU, kill)
    half, lines = read_checkpoint(killed, PLAN), list[str]()
    assert half is not None and 0 < half["step"] < PLAN.steps
    train_encoder(PLAN, source, killed, CPU, lines.append)
    assert "goes on after step" in lines[0]
    expected, found = read_checkpoint(through, PLAN), read_checkpoint(killed, PLAN)
    assert expected is not None and found is not None
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-3)
    for name, values in expected["model"].items():
        torch.testing.assert_close(found["model"][name], values, atol=1e-4, rtol=1e-3)


def test_a_checkpoint_of_another_plan_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "autoencoder.pt"
    train_encoder(replace(PLAN, steps=1), source, file, CPU, lambda line: None)
    assert read_checkpoint(file, PLAN) is None
    assert read_checkpoint(tmp_path / "none.pt", PLAN) is None


def test_patches_lie_in_the_body() -> None:
    drawn = source().draw(20, np.random.default_rng(0))
    assert drawn.shape == (20, 1, *PATCH)
    assert (drawn[:, 0, 8, 16, 16] > 0).all()


def test_the_cts_are_spread_over_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[str]()
    monkeypatch.setattr(
        "rprbench.methods.autoencoder_training.read_volume",
        lambda p: read.append(p.name) or ct(p.name),
    )

    class Names:
        folder = tmp_path

        def names(self, split: str) -> list[str]:
            assert split == "train"
            return list("abcdef")

    patches_of(Names(), 3, lambda line: None)  # type: ignore[arg-type]
    assert read == ["a.nii.gz", "c.nii.gz", "e.nii.gz"]


def test_likeness_of_latents_one_by_one() -> None:
    generator = torch.Generator().manual_seed(1)
    # far from zero and close to each other, as latents are
    latents, wanted = (5 + torch.randn(n, LATENT, generator=generator) * 0.1 for n in (24, 6))
    windows = FeatureWindows(latents.T.reshape(LATENT, 2, 3, 4))
    errors, cosines = windows.alike(wanted, "mse"), windows.alike(wanted, "cosine")
    for row, column in np.ndindex(6, 24):
        apart, a, b = wanted[row] - latents[column], wanted[row], latents[column]
        assert float(errors[row, column]) == pytest.approx(-float((apart**2).mean()), abs=1e-5)
        assert float(cosines[row, column]) == pytest.approx(
            float(a @ b / (a.norm() * b.norm())), abs=1e-5
        )
        for measure, expected in (("mse", errors), ("cosine", cosines)):
            plain = plain_feature_likeness(b[None], a[None], measure)  # type: ignore[arg-type]
            assert plain == pytest.approx(float(expected[row, column]), abs=1e-5)


def test_each_point_is_the_window_with_its_latent(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(LATENT, 5, 6, 7, generator=generator)
    places = [(0, 0, 0), (4, 5, 6), (1, 2, 3), (3, 1, 5), (2, 4, 0), (0, 3, 6)]
    wanted = torch.stack([latents[:, z, y, x] for z, y, x in places])
    query = FeatureQuery(
        PatchGrid(np.zeros((24, 42, 44), dtype=np.float32), np.zeros(3)), FeatureWindows(latents)
    )
    found = FeatureMap(context(tmp_path)).starts(query, FeatureExample(wanted, np.zeros((6, 3))))
    starts = [(2 * z, 2 * y, 2 * x) for z, y, x in places]
    assert found == {"fm-mse": starts, "fm-cosine": starts}


def test_a_window_of_a_ct_is_found_in_it(tmp_path: Path) -> None:
    method, volume = FeatureMap(context(tmp_path)), ct("here")
    method._model = random_model()
    grid = patch_grid(volume)
    starts = np.array(
        [(16, 20, 8), (10, 12, 20), (4, 16, 18), (12, 18, 30), (14, 30, 16), (24, 18, 20)]
    )
    points = Points(grid.window_centres(starts))
    organ = Target("Organ", "box", points, Box.from_points(points), None, "mask")
    prepared = method.prepare(Patient("here", volume, None, {"Organ": organ}, {"Organ": 1}))
    answers = method.find(method.encode(volume), prepared, ["Organ"])
    lower, upper = box_walls(points.xyz)
    for variant in ("fm-mse", "fm-cosine"):
        box = answers[variant]["Organ"].box
        assert box is not None and np.allclose(box.lower, lower) and np.allclose(box.upper, upper)


@pytest.mark.usefixtures("no_reading")
def test_whoever_asks_first_has_it_trained(tmp_path: Path) -> None:
    file = tmp_path / "autoencoder" / "autoencoder.pt"
    method = FeatureMap(context(tmp_path), only=["fm-mse"])
    prepared = method.prepare(method.context.cohort.patient("reference"))
    saved, weights = read_checkpoint(file, method.plan), method.model().state_dict()
    assert list(prepared) == list(ORGANS) and prepared[ORGANS[0]].latents.shape == (6, LATENT)
    assert saved is not None and all(
        torch.equal(saved["model"][name], weights[name]) for name in weights
    )


def test_sampled_windows_are_windows() -> None:
    volume = np.random.default_rng(0).random((20, 37, 40), dtype=np.float32)
    assert window_counts(volume) == (3, 3, 5)
    for window in sampled_windows(volume, 10):
        assert window.shape == PATCH and np.shares_memory(window, volume)


@pytest.mark.usefixtures("no_reading")
def test_times_of_all_windows_from_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rprbench.experiments.sliding_speed._mean_seconds",
        lambda score, items: (score(items[0]), 0.001)[1],
    )
    experiment = SlidingTime(context(tmp_path), ["a", "b", "c", "d"], "reference")
    assert experiment.units() == ["gs-mse", "gs-cosine", "gs-ncc", "fm-mse", "fm-cosine"]
    assert experiment.settings()["queries"] == ["a", "b", "c"]
    experiment.begin()
    windows = int(np.prod(window_counts(patch_grid(ct("a")).values)))
    for unit, per_window in (("gs-ncc", 0.006), ("fm-cosine", 0.007)):
        (row,) = experiment.run(unit)
        assert row["method"] == unit and row["windows"] == windows
        assert row["seconds_organ"] == pytest.approx(windows * per_window, abs=0.1)
        assert row["seconds_patient"] == pytest.approx(4 * windows * per_window, abs=0.1)
