"""MONAI's RetinaNet for four organs on a coarse grid, trainable with organs not labelled.

Boxes are (n, 6): lower z, y, x, then upper z, y, x, in voxels of the image, counted from its outer
lower corner (the centre of voxel 0 lies at 0.5), which is where MONAI's anchors have their origin.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.networks.blocks.convolutions import ResidualUnit
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from torch import Tensor, nn

from ..core.cohort import ORGANS

STRIDE = 8
LEVELS = 2
# The mean over the boxes of an organ needs them all, so none is suppressed for its overlap with a
# better one
EVERY_BOX, MOST_BOXES = 1.1, 1000


@dataclass(frozen=True)
class NetSettings:
    """Of the network.

    spacing: mm of its lattice. windows: HU that become 0 and 1 of each input channel. channels: of
    the encoder at strides 2, 4 and 8. pyramid: channels at strides 4 and 8. anchors: z, y, x in mm
    at stride 4, twice that at
    stride 8: parotids and brain stem are about as large as the first, the mandible as twice the
        second.
    threshold: of the score, below which a box does not count. overlap: IoU with the best box of its
    organ above which a box counts into the mean.
    """

    spacing: float = 4.0
    windows: tuple[tuple[float, float], ...] = ((-1000.0, 1000.0), (-150.0, 250.0))
    channels: tuple[int, int, int] = (24, 48, 96)
    pyramid: int = 48
    anchors: tuple[tuple[float, float, float], ...] = ((54.0, 39.0, 36.0), (40.0, 48.0, 59.0))
    threshold: float = 0.05
    overlap: float = 0.2


class Encoder(nn.Module):
    """Residual units at strides 2, 4 and 8, and a feature pyramid on the last two.

    MONAI's own way to a pyramid (resnet_fpn_feature_extractor) needs torchvision; its blocks do
    not.
    """

    def __init__(self, inputs: int, channels: Sequence[int], pyramid: int) -> None:
        super().__init__()
        self.out_channels = pyramid
        first, second, third = channels
        self.stem = _unit(inputs, first, 1)
        self.fine = _unit(first, second, 2)
        self.coarse = nn.Sequential(_unit(second, third, 2), _unit(third, third, 2, stride=1))
        self.pyramid = FeaturePyramidNetwork(3, [second, third], pyramid)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (b, c, z, y, x) to features at stride 4 and 8, both with ``out_channels``."""
        fine = self.fine(self.stem(images))
        levels = self.pyramid(OrderedDict(fine=fine, coarse=self.coarse(fine)))
        return list(levels.values())


def _unit(inputs: int, outputs: int, subunits: int, stride: int = 2) -> nn.Module:
    norm = ("GROUP", {"num_groups": 8, "num_channels": outputs})
    return ResidualUnit(
        3, inputs, outputs, strides=stride, subunits=subunits, act="RELU", norm=norm
    )


class MixedRetinaNet(RetinaNet):
    """RetinaNet that trains in bfloat16 but whose outputs are float32.

    MONAI gives the anchors the type of the outputs, and bfloat16 holds positions beyond 128 voxels
    to a whole voxel only. It answers in float32, because scores of 8 bits tie.
    """

    def forward(self, images: Tensor) -> dict[str, list[Tensor]]:
        """Images (b, c, z, y, x) to MONAI's maps of logits and of box regressions."""
        packed = images.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.training):
            maps: dict[str, list[Tensor]] = super().forward(packed)
        return {key: [level.float() for level in levels] for key, levels in maps.items()}


class PartlyLabelledDetector(RetinaNetDetector):
    """RetinaNetDetector that learns nothing about the classes that a target does not mark.

    A target marks those whose organs are labelled: ``known``, (4,) bool.

    An organ that is there but not contoured whole would otherwise be background.
    """

    def compute_anchor_matched_idxs(
        self,
        anchors: list[Tensor],
        targets: list[dict[str, Tensor]],
        num_anchor_locs_per_level: Sequence[int],
    ) -> list[Tensor]:
        """As MONAI does with its ATSS matcher.

        MONAI's code asks for a class of torchvision before it.
        """
        counts, per_place = num_anchor_locs_per_level, self.num_anchors_per_loc
        return [
            self.proposal_matcher(target[self.target_box_key], places, counts, per_place)[1].to(
                places.device
            )
            for places, target in zip(anchors, targets, strict=True)
        ]

    def get_cls_train_sample_per_image(
        self,
        cls_logits_per_image: Tensor,
        targets_per_image: dict[str, Tensor],
        matched_idxs_per_image: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Logits and truth of the anchors sampled, of known classes, both (n,)."""
        known = targets_per_image["known"]
        column = known.long().cumsum(0) - 1
        target = {
            **targets_per_image,
            self.target_label_key: column[targets_per_image[self.target_label_key]],
        }
        logits, truth = super().get_cls_train_sample_per_image(
            cls_logits_per_image[:, known], target, matched_idxs_per_image
        )
        return logits.reshape(-1), truth.reshape(-1)


def build(settings: NetSettings) -> PartlyLabelledDetector:
    """An untrained detector; labels are positions in ORGANS."""
    shapes = [[side / settings.spacing for side in anchor] for anchor in settings.anchors]
    encoder = Encoder(len(settings.windows), settings.channels, settings.pyramid)
    network = MixedRetinaNet(3, len(ORGANS), len(shapes), encoder, size_divisible=STRIDE)
    places = AnchorGeneratorWithAnchorShape(tuple(2**level for level in range(LEVELS)), shapes)
    detector = PartlyLabelledDetector(network, places)
    detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
    detector.set_hard_negative_sampler(
        batch_size_per_image=96, positive_fraction=0.33, min_neg=32, pool_size=10
    )
    detector.set_box_selector_parameters(
        score_thresh=settings.threshold, nms_thresh=EVERY_BOX, detections_per_img=MOST_BOXES
    )
    return detector


def as_input(hu: Tensor, settings: NetSettings) -> Tensor:
    """HU (z, y, x) to the network's input (channels, z, y, x).

    One channel per window, from 0 to 1.
    """
    return torch.stack([((hu - low) / (high - low)).clamp(0, 1) for low, high in settings.windows])
