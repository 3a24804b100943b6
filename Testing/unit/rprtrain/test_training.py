"""Training on small phantoms: resumes to the same curve, stops on request, exports a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.samples import Sample
from support.trainings.tiny_training import CPU, TINY, TINY_FINE, phantom_volume

from rprloc.errors import InputError, ModelError, OutputError
from rprloc.model.card import read_card
from rprloc.model.loading import load_model
from rprtrain.augmentation import Augmentation
from rprtrain.checkpoint import load_checkpoint, save_checkpoint
from rprtrain.config import StageConfig
from rprtrain.data.dataset import TrainingVolume, split_held_out
from rprtrain.data.sources import find_images
from rprtrain.optimization.schedule import TrainingSchedule
from rprtrain.optimization.trainer import Trainer
from rprtrain.run.request import TrainingRequest
from rprtrain.run.train import train_model


@pytest.fixture(scope="module")
def volumes() -> list[TrainingVolume]:
    return [phantom_volume(f"p{n}", 0.9 + 0.05 * n) for n in range(4)]


def train(
    volumes: list[TrainingVolume],
    folder: Path,
    steps: int,
    *,
    stage: StageConfig = TINY,
    resume: bool = False,
    stop_at: int = -1,
) -> Trainer:
    lines: list[str] = []
    trainer: Trainer

    def stop() -> bool:
        return trainer.history.steps == stop_at

    schedule = TrainingSchedule(
        steps, seed=3, report_every=2, validate_every=1000, stop=stop, report=lines.append
    )
    trainer = Trainer(stage, schedule, volumes[:3], volumes[3:], CPU, folder / f"{stage.name}.ckpt")
    if resume:
        trainer.resume()
    trainer.run()
    assert any("min left" in line and "mm" in line for line in lines)
    return trainer


def losses(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.history.curve if "loss" in entry]


@pytest.mark.parametrize("stage", [TINY, TINY_FINE], ids=["coarse", "fine"])
def test_a_resumed_training_ends_like_an_uninterrupted_one(
    volumes: list[TrainingVolume], tmp_path: Path, stage: StageConfig
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = train(volumes, tmp_path / "a", 10, stage=stage)
    stopped = train(volumes, tmp_path / "b", 10, stage=stage, stop_at=4)
    assert stopped.history.stopped_early
    resumed = train(volumes, tmp_path / "b", 10, stage=stage, resume=True)
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-3)
    for a, b in zip(
        whole.net.state_dict().values(), resumed.net.state_dict().values(), strict=True
    ):
        assert torch.allclose(a.float(), b.float(), atol=1e-3)


def test_training_lowers_the_pair_error(volumes: list[TrainingVolume], tmp_path: Path) -> None:
    trainer = train(volumes, tmp_path, 150)
    errors = [entry["pair_mm"] for entry in trainer.history.curve if "pair_mm" in entry]
    assert sum(errors[-10:]) < 0.7 * sum(errors[:10])


def test_a_checkpoint_of_other_settings_is_refused(
    volumes: list[TrainingVolume], tmp_path: Path
) -> None:
    train(volumes, tmp_path, 2)
    other = Trainer(
        TINY.with_changes(range_mm=77.0),
        TrainingSchedule(4, seed=3),
        volumes[:3],
        volumes[3:],
        CPU,
        tmp_path / "coarse.ckpt",
    )
    with pytest.raises(InputError, match="other settings"):
        other.resume()


@pytest.mark.parametrize("stage", [TINY, TINY_FINE], ids=["coarse", "fine"])
def test_a_checkpoint_of_before_the_augmentation_resumes(
    volumes: list[TrainingVolume], tmp_path: Path, stage: StageConfig
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = train(volumes, tmp_path / "a", 6, stage=stage)
    train(volumes, tmp_path / "b", 6, stage=stage, stop_at=4)
    path = tmp_path / "b" / f"{stage.name}.ckpt"
    state = load_checkpoint(path, CPU)
    for key in ("stage", "working"):
        known = json.loads(state[key])
        del known["augmentation"]
        state[key] = json.dumps(known)
    save_checkpoint(path, state)

    resumed = train(volumes, tmp_path / "b", 6, stage=stage, resume=True)
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-3)
    other = stage.with_changes(augmentation=Augmentation(gain=(1.0, 1.0)))
    with pytest.raises(InputError, match="other settings"):
        train(volumes, tmp_path / "b", 6, stage=other, resume=True)


def test_damaged_and_missing_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt", CPU)
    save_checkpoint(tmp_path / "x.ckpt", {"step": 1, "net": {"w": torch.ones(1000)}})
    whole = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(tmp_path / "x.ckpt", CPU)


def test_a_failed_save_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.ckpt"
    save_checkpoint(path, {"step": 1})

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path, CPU)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]


def test_train_model_writes_a_model_that_loads_and_verifies(tmp_path: Path, sample: Sample) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for n, source in enumerate((sample.reference, sample.query, sample.reference)):
        (images / f"ct{n}.nii.gz").write_bytes(source.read_bytes())
    (images / "broken.nii.gz").write_bytes(b"not an image")
    lines: list[str] = []
    request = TrainingRequest(
        images, tmp_path / "m", steps=2, name="t", stages={"coarse": TINY, "fine": TINY_FINE}
    )
    train_model(request, report=lines.append)
    assert any("left out" in line and "broken" in line for line in lines)
    card = read_card(tmp_path / "m")
    assert card.coarse.facts["steps"] == 2
    settings = card.coarse.facts["settings"]
    assert StageConfig.from_json(settings) == TINY and settings["augmentation"]["gamma"]
    on_disk = json.loads((tmp_path / "m" / "model.json").read_text())
    assert on_disk["schema_version"] == 2
    assert "defaults" in on_disk["confidence"]["source"]
    assert "defaults" in on_disk["search"]["source"]
    assert card.fine is not None
    model = load_model(tmp_path / "m", CPU)
    assert model.spacings == (10.0, 10.0)
    extra = {"card.json": ""}
    torch.jit.load(str(tmp_path / "m" / "coarse.pt"), _extra_files=extra)
    assert b'"r_mm": 500.0' in (
        extra["card.json"].encode() if isinstance(extra["card.json"], str) else extra["card.json"]
    )
    with pytest.raises(OutputError, match="--resume"):
        train_model(request, report=lines.append)
    damaged = (tmp_path / "m" / "fine.pt").read_bytes()
    (tmp_path / "m" / "fine.pt").write_bytes(damaged[:-1] + b"x")
    with pytest.raises(ModelError, match="checksum"):
        load_model(tmp_path / "m", CPU)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 2"):
        train_model(TrainingRequest(tmp_path, tmp_path / "out", steps=1), report=lambda line: None)


def test_label_maps_are_not_training_images(tmp_path: Path) -> None:
    for name in (
        "a.nii.gz",
        "a.labels.nii.gz",
        "b_label.nrrd",
        "c.seg.nrrd",
        "sub/d.mha",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in find_images(tmp_path)] == ["a.nii.gz", "d.mha"]


def test_held_out_volumes_do_not_depend_on_the_order(volumes: list[TrainingVolume]) -> None:
    a = split_held_out(volumes)[1]
    b = split_held_out(volumes[::-1])[1]
    assert [v.name for v in a] == [v.name for v in b]
    assert len(a) == 1
