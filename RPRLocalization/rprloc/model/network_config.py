"""The shape of a Pnet. No torch: Slicer reads model cards without it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PnetConfig:
    """Shape of a Pnet.

    Attributes:
        stem: channels of the first convolution (stride 2).
        stages: per resolution, from stride 2 on, ``(channels, residual blocks)``; a max-pool of 2
            between stages.
        decoder: channels of the upward steps; each doubles the resolution again and adds the
            encoder's features.
        head: hidden channels of the projection head.
        descriptor: channels of the second head (local descriptors); 0 for none.
    """

    stem: int
    stages: tuple[tuple[int, int], ...]
    decoder: tuple[int, ...] = ()
    head: int = 128
    descriptor: int = 0

    @property
    def alignment(self) -> int:
        """Voxels by which an input may be shifted without changing the latents.

        The stride of the deepest stage.
        """
        return int(2 ** len(self.stages))

    @property
    def stride(self) -> int:
        """Voxels between neighbouring cells of the latent field."""
        return int(2 ** (len(self.stages) - len(self.decoder)))

    @property
    def first_cell(self) -> float:
        """Voxel coordinate of the centre of cell 0, along every axis."""
        return self.stride / 2 - 1

    @property
    def receptive_field(self) -> int:
        """Edge of the cube of voxels around a cell that can influence it: an odd upper bound."""
        radius, stride = 1, 2
        for depth, (_, blocks) in enumerate(self.stages):
            if depth:
                radius += stride
                stride *= 2
            radius += 2 * blocks * stride

        for _ in self.decoder:
            radius += stride
            stride //= 2
            radius += 2 * stride
        return 2 * radius + 1

    @property
    def margins(self) -> tuple[int, ...]:
        """Cells beyond the volume that the features of each stage can reach.

        Rounded up to even, because they are pooled in pairs.
        """
        margins: list[int] = []
        reach = 1
        for _, blocks in self.stages:
            reach += 2 * blocks
            margins.append(reach + reach % 2)
            reach = margins[-1] // 2

        return tuple(margins)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which ``from_json`` makes the same configuration."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PnetConfig:
        """Inverse of ``to_json``."""
        return cls(
            stem=int(data["stem"]),
            stages=tuple((int(c), int(n)) for c, n in data["stages"]),
            decoder=tuple(int(c) for c in data["decoder"]),
            head=int(data["head"]),
            descriptor=int(data["descriptor"]),
        )
