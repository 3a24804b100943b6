"""What a training stage is: network, lattice, range, sampling; with defaults for head and neck."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rprloc.model.network_config import PnetConfig

from .augmentation import Augmentation

# Where memory runs out, a stage shrinks down to these, and no further: with fewer points the loss
# is too noisy, and 32 voxels are about what the fine network reads around one cell.
LEAST_SUPPORTS = 100
LEAST_EDGE = 32
EDGE_FACTOR = 0.8


@dataclass(frozen=True)
class StageConfig:
    """Settings of one stage (coarse or fine).

    Attributes:
        name: ``coarse`` or ``fine``.
        net: shape of the network.
        spacing: voxel edge in mm of the isotropic grid the network reads.
        range_mm: ``r`` of Eq. 2.
        crop: largest view (z, y, x) in voxels; larger volumes are cut, as CTs are.
        smallest_mm: shortest edge of a virtual field of view.
        steps: default length of the training.
        learning_rate: peak learning rate of AdamW.
        supports, queries: points and cells per view pair; all their pairs enter the loss.
        loss_floor_mm, loss_slope: pair weight ``1 / (floor + slope * distance)``.
        reach_mm: pairs farther apart than this do not enter the loss (``r * tanh`` cannot be exact
            near ``r``).
        rotation, scaling, shear: standard deviations of the random affine map (rad, 1, 1).
        elastic_mm: largest standard deviation of the random smooth displacement.
        descriptor_weight: weight of the contrastive loss of the second head (0 where there is
            none).
        temperature: of the contrastive loss.
        augmentation: every other range that views are drawn from.
    """

    name: str
    net: PnetConfig
    spacing: float
    range_mm: float
    crop: tuple[int, int, int]
    smallest_mm: float
    steps: int
    learning_rate: float = 1.5e-3
    supports: int = 400
    queries: int = 500
    loss_floor_mm: float = 6.0
    loss_slope: float = 0.15
    reach_mm: float = 400.0
    rotation: float = 0.10
    scaling: float = 0.08
    shear: float = 0.04
    elastic_mm: float = 9.0
    descriptor_weight: float = 0.0
    temperature: float = 0.07
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def view_radius(self) -> float:
        """Half of the longest edge of a view, in voxels."""
        return max(self.crop) / 2.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object that describes the stage completely."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StageConfig:
        """Inverse of ``to_json``; settings of before ``augmentation`` have its defaults.

        Raises:
            TypeError, KeyError, ValueError: for anything else.
        """
        values = dict(data)
        net = PnetConfig.from_json(values.pop("net"))
        crop = tuple(int(v) for v in values.pop("crop"))
        augmentation = Augmentation.from_json(values.pop("augmentation", {}))
        return cls(net=net, crop=(crop[0], crop[1], crop[2]), augmentation=augmentation, **values)

    def with_changes(self, **changes: Any) -> StageConfig:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def smaller(self) -> StageConfig | None:
        """The stage with less in a step, or None where it is small already.

        First half the points (the results hardly change), then smaller views (what is farther apart
        than a view is not learnt).
        """
        if self.supports >= 2 * LEAST_SUPPORTS:
            return self.with_changes(supports=self.supports // 2, queries=self.queries // 2)

        align = self.net.alignment
        z, y, x = (
            max(min(edge, LEAST_EDGE), int(edge * EDGE_FACTOR) // align * align)
            for edge in self.crop
        )
        return None if (z, y, x) == self.crop else self.with_changes(crop=(z, y, x))

    def describe_size(self) -> str:
        """What a step holds, for a note to the user."""
        edges = " x ".join(map(str, self.crop))
        return f"{self.supports} x {self.queries} pairs, views of up to {edges} voxels"


COARSE = StageConfig(
    name="coarse",
    net=PnetConfig(stem=16, stages=((32, 1), (64, 1), (128, 1)), head=160),
    spacing=4.0,
    range_mm=500.0,
    crop=(96, 72, 112),
    smallest_mm=110.0,
    steps=6000,
)

FINE = StageConfig(
    name="fine",
    net=PnetConfig(
        stem=16, stages=((32, 1), (64, 1), (96, 1)), decoder=(64, 32), head=64, descriptor=32
    ),
    spacing=3.0,
    range_mm=150.0,
    crop=(64, 72, 72),
    smallest_mm=110.0,
    steps=5000,
    queries=1000,
    loss_floor_mm=3.0,
    reach_mm=110.0,
    descriptor_weight=1.0,
)

STAGES = {"coarse": COARSE, "fine": FINE}
