"""How random views of a CT are altered: every range that is drawn from, by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """Ranges and probabilities of the random alterations of a view.

    Numbers in pairs are the lowest and the highest value that is drawn (uniformly). The random
    affine map and the strength of the bend belong to the stage (``StageConfig``), because they are
    what a body region changes. Part of a stage's settings, and so of the checkpoint and the card.

    Attributes:
        cut_probability: that the field of view is cut, along z, y, x: planning CTs differ most in
            how far they reach along z.
        smallest_edge: shortest edge of a cut field of view along z, y, x, in units of the stage's
            ``smallest_mm``; a cross-section that is shown in part still shows most of the body.
        cut_shift: of a cut view's centre from its focus, as a fraction of the edge.
        whole_shift: the same in voxels, where the view reaches as far as the CT.
        bend_probability: that a view is bent at all. bend_knots: control points per axis.
        gamma, gain: exponent and factor of the density (air 0, water 1).
        offset_hu: added to all tissue.
        blur_probability: that the view is averaged over 3 voxels.
        slice_blur_probability: that this is along z only, as of thick slices, not along all axes.
        noise_probability: that there is white noise. noise_hu: its standard deviation.
        erase_probability: of a block of one value (metal, a tumour, a missing piece), and then of
            yet another one.
        erase_edge: of the block in voxels, per axis. erase_hu: its value.
    """

    cut_probability: tuple[float, float, float] = (0.6, 0.25, 0.3)
    smallest_edge: tuple[float, float, float] = (1.0, 1.4, 1.4)
    cut_shift: Range = (-0.25, 0.25)
    whole_shift: Range = (-2.0, 2.0)
    bend_probability: float = 0.85
    bend_knots: tuple[int, int] = (4, 7)
    gamma: Range = (0.85, 1.18)
    gain: Range = (0.9, 1.1)
    offset_hu: Range = (-40.0, 40.0)
    blur_probability: float = 0.35
    slice_blur_probability: float = 0.5
    noise_probability: float = 0.5
    noise_hu: Range = (0.0, 50.0)
    erase_probability: float = 0.3
    erase_edge: tuple[int, int] = (3, 14)
    erase_hu: Range = (-1000.0, 1500.0)

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every value."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Augmentation:
        """Inverse of ``to_json``; what is missing has its default.

        Raises:
            TypeError, ValueError: for a key that is not known, or a value of another kind.
        """
        values: dict[str, Any] = {}
        usual = {f.name: f.default for f in fields(cls)}

        for name, value in dict(data).items():
            default = usual.get(name)
            if isinstance(default, tuple):
                values[name] = tuple(type(default[0])(number) for number in value)
                if len(values[name]) != len(default):
                    raise ValueError(f"{name} must have {len(default)} numbers")
            elif isinstance(default, float):
                values[name] = float(value)
            else:
                raise TypeError(f"an augmentation has no {name!r}")
        return cls(**values)
