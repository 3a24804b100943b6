"""A finished network on a CPU: the values of ``Pnet.forward``, several times as fast.

On a CPU the convolutions are the smaller part of the time; most goes into moving features through
memory. So a block is computed slab by slab, while its features are in the cache, and only where
there can be something else than air: far from the body all features are zero (see ``pnet``), and
its extent is known from the voxels. There is no TorchScript either, which spends seconds on the
first calls of a process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..image.hounsfield import AIR_HU
from .air_extent import AirExtent, Window
from .network_config import PnetConfig
from .pnet import Pnet, fold_batch_norm, window

#: Cells of a slab: few enough for the cache, enough for two cores and small halos.
_SLAB_CELLS = 1 << 16
#: Largest difference of the same network's values, as a part of the largest value.
_ROUNDING = 1e-4
#: Index of all channels of the one volume, before that of a ``Window``.
_CHANNELS = (slice(None), slice(None))
Weights = Mapping[str, Tensor]
Reader = Callable[[Window], Tensor]


@dataclass(frozen=True, eq=False)
class AirActivation:
    """``relu(u + bias) - relu(bias)`` as one addition (in the convolution) and one maximum.

    Attributes:
        bias: (C,) to add, 0 at most. floor: (C,) least value, 0 at most.
    """

    bias: Tensor
    floor: Tensor

    @classmethod
    def of(cls, bias: Tensor) -> AirActivation:
        """The activation of a folded convolution."""
        return cls(bias.clamp_max(0.0), -bias.clamp_min(0.0))

    def raised(self, y: Tensor) -> Tensor:
        """Raise (1, C, D, H, W), which has the bias already, to the floor; in place."""
        # A whole plane of floors, as broadcasting over the innermost axis is slow.
        rows = y.permute(0, 2, 3, 4, 1).reshape(y.shape[2], -1)
        floors = self.floor.expand(y.shape[3] * y.shape[4], -1).reshape(-1)
        torch.maximum(rows, floors, out=rows)
        return y


class DensePass:
    """Dense evaluation of one network; see the module.

    Example:
        >>> DensePass.of(stage.network, stage.card.net)(hu, torch.float32)        # doctest: +SKIP
    """

    def __init__(self, config: PnetConfig, weights: Weights) -> None:
        self.config = config
        self._float32 = weights
        self._cast: dict[torch.dtype, Weights] = {}

    @classmethod
    @torch.no_grad()
    def of(cls, network: torch.nn.Module, config: PnetConfig) -> DensePass | None:
        """From a network with folded BatchNorm; None if it is not the one of ``config``.

        Weights of the same names do not make the same network, so a few voxels are compared.
        """
        own = fold_batch_norm(Pnet(config)).state_dict()
        found = network.state_dict()
        if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in found.items()}:
            return None
        made = cls(config, {n: v.detach().float() for n, v in found.items()})
        noise = torch.rand((config.alignment,) * 3, generator=torch.Generator().manual_seed(0))
        hu = (noise * 2000.0 - 1000.0)[None, None]
        wanted = network(hu)
        apart = (made(hu, torch.float32) - wanted).abs().max()
        return made if apart <= _ROUNDING * wanted.abs().max() else None

    @torch.no_grad()
    def __call__(self, hu: Tensor, dtype: torch.dtype) -> Tensor:
        """HU (1, 1, D, H, W), aligned, -> (1, 3 + descriptor, D/s, H/s, W/s) float32."""
        weights = self._weights(dtype)
        margins = self.config.margins
        x, extent = self._stem(hu, weights, dtype)

        skips: list[Tensor] = []
        for n, (_, blocks) in enumerate(self.config.stages):
            if n > 0:
                more = margins[n] - margins[n - 1] // 2
                x, extent = _pad(F.max_pool3d(x, 2), more), extent.pooled().padded(more)
            for m in range(blocks):
                x, extent = _block(_reader(x), extent, weights, f"stages.{n}.{m}")
            skips.append(x)

        depth = len(skips) - 1
        for n in range(len(self.config.decoder)):
            more = margins[depth] - margins[depth - 1] // 2
            depth -= 1
            deep, extent = _crop(x, more), extent.padded(-more)
            x, extent = _up(deep, extent, skips.pop(depth), weights, f"ups.{n}")
        return _heads(_crop(x, margins[depth]), extent.padded(-margins[depth]), weights)

    def _weights(self, dtype: torch.dtype) -> Weights:
        if dtype not in self._cast:
            self._cast[dtype] = {n: _laid_out(v.to(dtype)) for n, v in self._float32.items()}
        return self._cast[dtype]

    def _stem(self, hu: Tensor, weights: Weights, dtype: torch.dtype) -> tuple[Tensor, AirExtent]:
        margin = self.config.margins[0]
        # One voxel more on the near side is what the convolution pads.
        hu = F.pad(hu, [2 * margin + 1, 2 * margin] * 3, value=AIR_HU)
        extent = AirExtent.of_voxels(hu[0, 0, 1:, 1:, 1:]).pooled().grown(1)
        kernel, activation = weights["stem.conv.weight"], _activation(weights, "stem")

        def compute(part: Window) -> Tensor:
            planes, rows, columns = (slice(2 * s.start, 2 * s.stop + 1) for s in part)
            voxels = window(hu[:, :, planes, rows, columns]).to(dtype)
            y = _conv(_laid_out(voxels), kernel, activation.bias, stride=2)
            return activation.raised(y)

        return _by_slabs(extent, kernel, compute), extent


def _reader(x: Tensor) -> Reader:
    return lambda part: _laid_out(x[_CHANNELS + part])


def _block(
    read: Reader, extent: AirExtent, weights: Weights, name: str
) -> tuple[Tensor, AirExtent]:
    """``ResidualBlock.forward`` of what ``read`` gives, and where its result is not air."""
    first, second, shortcut = (
        weights.get(f"{name}.{part}.weight") for part in ("first.conv", "second.conv", "shortcut")
    )
    assert first is not None and second is not None
    between = _activation(weights, f"{name}.first")
    after = _activation(weights, f"{name}.second")
    depth = extent.shape[0]

    def compute(part: Window) -> Tensor:
        planes, rows, columns = part
        # Two planes more on both sides for two convolutions; beyond the lattice they are zero.
        first_plane, end = max(0, planes.start - 2), min(depth, planes.stop + 2)
        x = read((slice(first_plane, end), rows, columns))
        start, stop = max(0, planes.start - 1), min(depth, planes.stop + 1)
        y = _planes(x, start - 1 - first_plane, stop + 1 - first_plane)
        y = between.raised(_conv(y, first, between.bias, padding=(0, 1, 1)))
        y = _planes(y, planes.start - 1 - start, planes.stop + 1 - start)
        y = _conv(y, second, after.bias, padding=(0, 1, 1))
        same = x[:, :, planes.start - first_plane : planes.stop - first_plane]
        return after.raised(y.add_(same if shortcut is None else _conv(same, shortcut)))

    extent = extent.grown(2)
    return _by_slabs(extent, second, compute), extent


def _up(
    deep: Tensor, extent: AirExtent, skip: Tensor, weights: Weights, name: str
) -> tuple[Tensor, AirExtent]:
    """``UpBlock.forward``, and where its result is not air; ``extent`` is that of ``deep``.

    Slabs begin and end between deep cells (see ``AirExtent.slabs``).
    """
    narrow, lateral = weights[f"{name}.narrow.weight"], weights[f"{name}.lateral.weight"]

    def read(part: Window) -> Tensor:
        mixed = _conv(_laid_out(skip[_CHANNELS + part]), lateral)
        halves = tuple(slice(s.start // 2, s.stop // 2) for s in part)
        narrowed = _conv(_laid_out(deep[_CHANNELS + halves]), narrow).permute(0, 2, 3, 4, 1)
        # Nearest neighbours: every deep cell is added to its 2 x 2 x 2 cells.
        _, depth, height, width, channels = narrowed.shape
        cells = mixed.permute(0, 2, 3, 4, 1).view(depth, 2, height, 2, width, 2, channels)
        cells += narrowed.view(depth, 1, height, 1, width, 1, channels)
        return mixed

    return _block(read, extent.doubled(), weights, f"{name}.mix")


def _heads(x: Tensor, extent: AirExtent, weights: Weights) -> Tensor:
    """Latents and descriptors (1, 3 + descriptor, D, H, W) float32 of the last features."""
    heads = [name for name in ("project", "describe") if f"{name}.0.weight" in weights]

    def compute(features: Tensor) -> Tensor:
        return torch.cat([_head(features, weights, name) for name in heads], -1)

    cells = x.permute(0, 2, 3, 4, 1)
    out = compute(cells.new_zeros(x.shape[1])).expand(*cells.shape[:4], -1).contiguous()
    for part in extent.slabs(_SLAB_CELLS):
        out[(0, *part)] = compute(cells[(0, *part)])
    return out.permute(0, 4, 1, 2, 3)


def _head(features: Tensor, weights: Weights, name: str) -> Tensor:
    """1x1x1 convolutions with ReLU between them: features (..., C) -> (..., outputs) float32."""
    layers = sorted(n for n in weights if n.startswith(f"{name}.") and n.endswith(".weight"))
    for n, layer in enumerate(layers):
        if n:
            features = features.relu_()
        kernel = weights[layer].flatten(1)
        features = F.linear(features, kernel, weights[layer.replace("weight", "bias")])
    return features.float()


def _by_slabs(extent: AirExtent, kernel: Tensor, compute: Callable[[Window], Tensor]) -> Tensor:
    """(1, C, D, H, W): what ``compute`` gives for the parts that are not air, and zeros.

    Channels and precision are those of ``kernel`` (C, ...).
    """
    found = kernel.new_zeros(1, *extent.shape, len(kernel)).permute(0, 4, 1, 2, 3)
    for part in extent.slabs(_SLAB_CELLS):
        found[_CHANNELS + part] = compute(part)
    return found


def _conv(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    padding: tuple[int, int, int] = (0, 0, 0),
    stride: int = 1,
) -> Tensor:
    """``F.conv3d``, but always by oneDNN, which PyTorch leaves aside for thin slabs."""
    if not torch.backends.mkldnn.is_available():
        return _laid_out(F.conv3d(x, kernel, bias, stride, padding))
    found = torch.mkldnn_convolution(x, kernel, bias, padding, (stride,) * 3, (1,) * 3, 1)
    return _laid_out(found)


def _planes(x: Tensor, start: int, stop: int) -> Tensor:
    """Planes of (1, C, D, H, W); zeros before the first and after the last."""
    inside = x[:, :, max(0, start) : stop]
    before, after = max(0, -start), max(0, stop - x.shape[2])
    return _laid_out(F.pad(inside, [0, 0, 0, 0, before, after]) if before or after else inside)


def _activation(weights: Weights, name: str) -> AirActivation:
    return AirActivation.of(weights[f"{name}.conv.bias"])


def _pad(x: Tensor, cells: int) -> Tensor:
    return F.pad(x, [cells] * 6)


def _crop(x: Tensor, cells: int) -> Tensor:
    return F.pad(x, [-cells] * 6) if cells else x


def _laid_out(x: Tensor) -> Tensor:
    """Channels innermost, as convolutions on a CPU want them."""
    return x.contiguous(memory_format=torch.channels_last_3d) if x.dim() == 5 else x
