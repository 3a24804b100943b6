"""The supervised detector of the benchmark.

Boxes, training on partly labelled patients, checkpoints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from support.paths import TESTING

pytest.importorskip("monai", reason="MONAI (the bench extra) is not installed")

from rprbench.core.cohort import ORGANS, Cohort, Patient
from rprbench.core.method import Context
from rprbench.methods.detector import Detector, detect, lps_box, mean_box
from rprbench.methods.detector_data import (
    Augmentation,
    Placement,
    Sample,
    drawn,
    image_at,
    samples_of,
    target_at,
    training_image,
)
from rprbench.methods.detector_net import NetSettings, build
from rprbench.methods.detector_training import DetectorTraining, TrainSettings
from rprloc.evaluation.metrics import box_iou
from rprloc.geometry import Box, Geometry
from rprloc.image.resampling import to_grid
from rprloc.image.volume import Volume
from rprloc.targets.labelmap import LabelMap
from rprloc.targets.loading import targets_from_label_map

CPU = torch.device("cpu")
NET = NetSettings(spacing=8.0, channels=(8, 16, 16), pyramid=8, anchors=((48.0, 48.0, 48.0),))
TRAIN = TrainSettings(steps=6, rate=3e-3, warmup=5, shape=(24, 24, 24))
STILL = Augmentation(0, 0, 0, 0, 0, 0, mirror=False)
CENTRES = {
    "Brainstem": (0.0, 40.0, 20.0),
    "Mandible": (0.0, -45.0, -20.0),
    "LeftParotid": (60.0, 0.0, 0.0),
    "RightParotid": (-60.0, 0.0, 0.0),
}
HU = {"Brainstem": 900, "Mandible": 500, "LeftParotid": -300, "RightParotid": -600}


def made_patient(
    number: int = 0,
    *,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    organs: tuple[str, ...] = ORGANS,
) -> Patient:
    """A block of soft tissue with four blocks in it, at places of its own; 6 x 5 x 4 mm voxels."""
    random = np.random.default_rng(number)
    spacing = np.array([6.0, 5.0, 4.0])
    geometry = Geometry((34, 40, 50), spacing, np.array(origin), np.eye(3))
    middle = geometry.bounds().center + random.uniform(-8, 8, 3)
    k, j, i = np.indices((50, 40, 34))
    xyz = np.stack([i, j, k], axis=-1) * spacing + geometry.origin - middle
    hu = np.where((np.abs(xyz) < (88, 84, 84)).all(axis=-1), 40, -1000).astype(np.int16)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    ids = {name: n + 1 for n, name in enumerate(ORGANS)}
    for name in ORGANS:
        inside = (np.abs(xyz - CENTRES[name]) <= random.uniform(18, 26, 3)).all(axis=-1)
        hu[inside] = HU[name]
        labels[inside] = ids[name]
    label_map = LabelMap(labels, geometry, {})
    complete = {name: ids[name] for name in organs}
    targets = {target.name: target for target in targets_from_label_map(label_map, complete)}
    return Patient(
        f"made{number}", Volume(hu, geometry, f"made{number}"), label_map, targets, complete
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small gain nothing from a second thread, and wait for it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class MadeCohort:
    """Stands for a Cohort: three made patients."""

    def names(self, split: str) -> list[str]:
        return {"val": ["0", "1", "2"]}[split]

    def patient(self, name: str) -> Patient:
        return made_patient(int(name))


def context(out: Path, lines: list[str] | None = None, **changes: Any) -> Context:
    told = lines if lines is not None else []
    return Context(cast(Cohort, MadeCohort()), out, report=told.append, **changes)


def unmoved(sample: Sample) -> Placement:
    return Placement(np.eye(3), sample.middle, False)


def test_boxes_go_to_the_lattice_and_back() -> None:
    patient = made_patient(origin=(-310.0, 77.0, 1204.5))
    sample = samples_of([patient], NET)[0]
    grid = to_grid(patient.volume, NET.spacing)
    shape = cast(tuple[int, int, int], grid.hu.shape)
    target = target_at(sample, unmoved(sample), shape, NET.spacing)
    assert target["known"].all() and len(target["labels"]) == len(ORGANS)
    for box, label in zip(target["boxes"].double().numpy(), target["labels"].tolist(), strict=True):
        back, truth = lps_box(box, grid), patient.organs[ORGANS[label]].box
        assert truth is not None
        np.testing.assert_allclose([back.lower, back.upper], [truth.lower, truth.upper], atol=1e-3)
    image = image_at(sample, unmoved(sample), shape, NET.spacing)
    np.testing.assert_allclose(image.numpy(), grid.hu, atol=0.1)


@pytest.mark.parametrize("number", range(4))
def test_image_and_boxes_move_together(number: int) -> None:
    """The brightest block of the moved image fills its box: plain search of its voxels."""
    net = replace(NET, spacing=2.0)
    sample = samples_of([made_patient(number, origin=(55.0, -20.0, 300.0))], net)[0]
    ranges = Augmentation(shift=10.0, turn=0.0, mirror=False)
    place = drawn(sample, ranges, np.random.default_rng(number))
    if number % 2:
        place = Placement(place.matrix * (-1.0, 1.0, 1.0), place.middle, True)
    shape = (120, 112, 116)
    hu, target = (
        image_at(sample, place, shape, net.spacing).numpy(),
        target_at(sample, place, shape, net.spacing),
    )
    boxes = {
        ORGANS[n]: b.numpy()
        for n, b in zip(target["labels"].tolist(), target["boxes"], strict=True)
    }
    bright = np.argwhere(hu > 700)
    np.testing.assert_allclose(
        boxes["Brainstem"], [*bright.min(axis=0), *(bright.max(axis=0) + 1)], atol=1.5
    )
    left, right = boxes["LeftParotid"], boxes["RightParotid"]
    assert left[2] > right[5], "+x is left, also in a mirrored image"


def test_turned_boxes_hold_the_organ() -> None:
    net = replace(NET, spacing=2.0)
    sample = samples_of([made_patient()], net)[0]
    place = drawn(sample, Augmentation(turn=20.0, mirror=False), np.random.default_rng(3))
    shape = (120, 112, 116)
    bright = np.argwhere(image_at(sample, place, shape, net.spacing).numpy() > 700)
    box = target_at(sample, place, shape, net.spacing)["boxes"][ORGANS.index("Brainstem")].numpy()
    np.testing.assert_allclose(box, [*bright.min(axis=0), *(bright.max(axis=0) + 1)], atol=2.5)


def test_cut_and_incomplete_organs_are_unknown() -> None:
    patient = made_patient(organs=("Brainstem", "LeftParotid", "RightParotid"))
    sample = samples_of([patient], NET)[0]
    assert target_at(sample, unmoved(sample), (24, 24, 24), NET.spacing)["known"].tolist() == [
        True,
        False,
        True,
        True,
    ]
    truth = patient.organs["LeftParotid"].box
    assert truth is not None
    for moved, known, there in (
        ((24 * 4.0, 0, 0), False, False),
        ((24 * 4.0 + 40, 0, 0), True, False),
    ):
        place = Placement(np.eye(3), np.array([truth.center[0], *sample.middle[1:]]) - moved, False)
        target = target_at(sample, place, (24, 24, 24), NET.spacing)
        label = ORGANS.index("LeftParotid")
        assert bool(target["known"][label]) is known
        assert (label in target["labels"].tolist()) is there


def test_no_image_is_without_a_known_class() -> None:
    sample = samples_of([made_patient(organs=("Brainstem",))], NET)[0]
    for number in range(20):
        random = np.random.default_rng(number)
        assert training_image(sample, NET, replace(STILL, shift=90.0), (16, 16, 16), random)[1][
            "known"
        ].any()
    cut = Placement(np.eye(3), sample.middle + np.array([64.0, 0.0, 0.0]), False)
    assert not target_at(sample, cut, (16, 16, 16), NET.spacing)["known"].any(), (
        "such images are drawn"
    )


def test_unknown_classes_are_not_learnt() -> None:
    sample = samples_of([made_patient(organs=("Brainstem", "RightParotid"))], NET)[0]
    image, target = training_image(sample, NET, STILL, (24, 24, 24), np.random.default_rng(0))
    detector = build(NET).train()
    sum(detector([image], [target]).values()).backward()
    slope = detector.network.classification_head.cls_logits.bias.grad.reshape(-1, len(ORGANS))
    assert (slope[:, ~target["known"]] == 0).all()
    assert (slope[:, target["known"]] != 0).all()
    assert all(places.dtype == torch.float32 for places in detector.anchors)


def test_training_finds_the_blocks(tmp_path: Path) -> None:
    lines: list[str] = []
    training = replace(TRAIN, steps=150, augmentation=replace(STILL, shift=16.0))
    method = Detector(context(tmp_path, lines), net=NET, training=training)
    method.train()
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines if "loss" in line]
    assert np.mean(losses[-3:]) < 0.5 * losses[0]
    patient = made_patient(7, origin=(-200.0, 30.0, 500.0))
    found = method.find(method.encode(patient.volume), None, ["Brainstem", "Mandible"])["detector"]
    for organ, answer in found.items():
        truth = patient.organs[organ].box
        assert answer.box is not None and truth is not None
        assert box_iou(answer.box, truth) > 0.4, organ


def test_nothing_is_found_below_the_threshold() -> None:
    found = detect(build(replace(NET, threshold=0.9)).eval(), NET, made_patient().volume)
    assert set(found) == set(ORGANS)
    assert all(answer.box is None for answer in found.values())


def test_mean_box_against_a_loop() -> None:
    random = np.random.default_rng(4)
    lower = random.uniform(0, 12, (60, 3))
    boxes, scores = (
        np.hstack([lower, lower + random.uniform(6, 18, (60, 3))]),
        random.uniform(0.05, 1, 60),
    )
    best, total, weight = boxes[np.argmax(scores)], np.zeros(6), 0.0
    for box, score in zip(boxes, scores, strict=True):
        if box_iou(Box(box[:3], box[3:]), Box(best[:3], best[3:])) > 0.2:
            total, weight = total + score**2 * box, weight + score**2
    assert 0 < weight < (scores**2).sum()
    answer = mean_box(torch.from_numpy(boxes), torch.from_numpy(scores), 0.2)
    np.testing.assert_allclose(answer, total / weight, atol=1e-4)


def test_a_cut_training_ends_as_an_uncut_one(tmp_path: Path) -> None:
    samples = samples_of([made_patient(n) for n in range(2)], NET)
    whole = DetectorTraining(NET, TRAIN, samples, tmp_path / "whole.ckpt", CPU)
    whole.run(lambda line: None)
    cut = DetectorTraining(NET, TRAIN, samples, tmp_path / "cut.ckpt", CPU)
    for _ in range(3):
        cut.one_step()
    cut.save()
    resumed = DetectorTraining(NET, TRAIN, samples, tmp_path / "cut.ckpt", CPU)
    assert resumed.step == 3
    resumed.run(lambda line: None)
    assert DetectorTraining(NET, TRAIN, samples, tmp_path / "cut.ckpt", CPU).finished
    for name, weights in whole.detector.state_dict().items():
        assert torch.equal(weights, resumed.detector.state_dict()[name]), name


def test_a_finished_training_is_not_made_again(tmp_path: Path) -> None:
    first = Detector(context(tmp_path, quick=True), net=NET, training=replace(TRAIN, steps=500))
    first.train()
    written = first.path.read_bytes()
    lines: list[str] = []
    again = Detector(
        context(tmp_path, lines, quick=True), net=NET, training=replace(TRAIN, steps=500)
    )
    again.encode(made_patient().volume)
    assert lines == [] and again.path.read_bytes() == written
    assert Detector(context(tmp_path), ["0"], NET, TRAIN).path != again.path, (
        "another configuration, another file"
    )
    assert json.loads(json.dumps(again.settings()))["patients"] == ["0", "1", "2"]


def endless(path: str) -> None:
    """For the test below: train, with a checkpoint and a line after every step."""
    samples = samples_of([made_patient()], NET)
    training = DetectorTraining(NET, replace(TRAIN, steps=79), samples, Path(path), CPU)
    training.run(lambda line: print(line, flush=True), save_every_s=0.0)


def test_a_kill_leaves_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "killed.ckpt"
    order = f"import test_bench_detector as t; t.endless({str(path)!r})"
    places = os.pathsep.join([str(Path(__file__).parent), str(TESTING), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", order],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places},
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(3)]
        child.kill()
    reached = int(lines[-1].split("step ")[1].split("/")[0])
    training = DetectorTraining(NET, TRAIN, samples_of([made_patient()], NET), path, CPU)
    assert training.step >= reached > 0
    assert np.isfinite(training.one_step())
