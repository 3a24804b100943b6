"""The upper reference of the tables.

A detector trained with boxes, as the Retina U-Net of the paper was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from monai.data.box_utils import box_iou
from torch import Tensor

from rprloc.geometry import Box, FloatArray
from rprloc.image.resampling import IsotropicVolume, to_grid
from rprloc.image.volume import Volume

from ..core.cohort import ORGANS, Patient
from ..core.method import Answers, Context, Detection, Method
from .detector_data import samples_of
from .detector_net import NetSettings, PartlyLabelledDetector, as_input
from .detector_training import DetectorTraining, TrainSettings

QUICK_STEPS = 4


class Detector(Method):
    """MONAI's RetinaNet, SUPERVISED.

    It is trained with the boxes of the 21 patients of ``val``, unlike all other methods.

    Hold-out while it was set up: after 900 steps on the first 15 patients of ``val`` the mean IoU
    over organs on the other 6 was 52 % (wall distance 6.2 mm); the mean of overlapping boxes was
    chosen there (best box alone: 48 %), and so was the loss of the boxes (GIoU: 46 %; smooth L1 on
    codes four times as large: 49 %). Six patients decide little. Queries from ``val`` are patients
    it was trained with, unless ``patients`` leaves them out.
    """

    name: ClassVar[str] = "detector"
    needs_reference: ClassVar[bool] = False

    def __init__(
        self,
        context: Context,
        patients: Sequence[str] | None = None,
        net: NetSettings | None = None,
        training: TrainSettings | None = None,
    ) -> None:
        """patients: trained with; all of ``val`` unless given (a hold-out)."""
        super().__init__(context)
        self.patients = list(context.cohort.names("val") if patients is None else patients)
        self.net = net or NetSettings()
        chosen = training or TrainSettings()
        self.training = replace(chosen, steps=QUICK_STEPS) if context.quick else chosen
        self._detector: PartlyLabelledDetector | None = None

    @property
    def variants(self) -> dict[str, str]:
        """The title says how many labelled patients it has learnt from."""
        return {self.name: f"RetinaNet (MONAI), SUPERVISED on {len(self.patients)} val patients"}

    def settings(self) -> dict[str, Any]:
        """The labelled patients, the network, and its training."""
        return {
            "patients": self.patients,
            "net": asdict(self.net),
            "training": asdict(self.training),
        }

    @property
    def path(self) -> Path:
        """The checkpoint; another configuration has another file."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()
        return self.context.out / self.name / f"{digest[:12]}.ckpt"

    def train(self) -> None:
        """Train on the labels of ``val``, from the checkpoint if there is one."""
        if self._detector is not None:
            return
        patients = [self.context.cohort.patient(name) for name in self.patients]
        samples = samples_of(patients, self.net)
        training = DetectorTraining(
            self.net, self.training, samples, self.path, torch.device(self.context.device)
        )
        if not training.finished:
            self.context.report(
                f"Detector: step {training.step} of {self.training.steps}, {len(samples)} patients"
            )
            training.run(self.context.report)

        self._detector = training.detector.eval()

    def prepare(self, reference: Patient) -> Any:
        """Raise NotImplementedError: the detector needs no reference."""
        raise NotImplementedError("the detector needs no reference")

    def encode(self, query: Volume) -> dict[str, Detection]:
        """Organ -> where it is, for all of ORGANS."""
        self.train()
        assert self._detector is not None
        return detect(self._detector, self.net, query)

    def find(self, encoded: dict[str, Detection], prepared: Any, organs: Sequence[str]) -> Answers:
        """Look up the organs that were asked for."""
        return {self.name: {organ: encoded[organ] for organ in organs}}


@torch.inference_mode()
def detect(
    detector: PartlyLabelledDetector, net: NetSettings, query: Volume
) -> dict[str, Detection]:
    """Where each organ is, LPS mm; nowhere if no box of it has a score above the threshold."""
    grid = to_grid(query, net.spacing)
    device = next(detector.parameters()).device
    answer = detector([as_input(torch.from_numpy(grid.hu), net).to(device)])[0]
    labels = answer[detector.target_label_key]
    boxes, scores = answer[detector.target_box_key], answer[detector.pred_score_key]
    detections = {}
    for label, organ in enumerate(ORGANS):
        own = labels == label
        box = lps_box(mean_box(boxes[own], scores[own], net.overlap), grid) if own.any() else None
        detections[organ] = Detection(box, "none" if box is None else "ok")
    return detections


def mean_box(boxes: Tensor, scores: Tensor, overlap: float) -> FloatArray:
    """Merge the best of ``boxes`` (n, 6) with those that overlap it, weighted by squared score.

    Those whose IoU with it is above ``overlap``. Returns (6,).

    Medical detectors combine overlapping boxes so (Retina U-Net does); the best box alone was 4
    points of IoU worse.
    """
    best = int(scores.argmax())
    near = box_iou(boxes[best : best + 1], boxes)[0] > overlap
    weights = scores[near].double() ** 2
    mean: FloatArray = (
        ((boxes[near].double() * weights[:, None]).sum(dim=0) / weights.sum()).cpu().numpy()
    )
    return mean


def lps_box(box: FloatArray, grid: IsotropicVolume) -> Box:
    """A box of the network (see ``detector_net``) in LPS mm; ``grid`` is that of its image."""
    lower, upper = grid.zyx_to_lps(box.reshape(2, 3) - 0.5)
    return Box(lower, upper)
