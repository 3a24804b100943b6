"""The projection network (Pnet) of RPR-Loc, dense: one pass gives the latent of every lattice cell.

The paper cuts patches and projects each to a 3D latent ``p`` (Sec. 2, Fig. 1). Here the projection
head is made of 1x1x1 convolutions, so a whole volume is projected at once. Two things make a dense
cell equal to its patch:

* BatchNorm, folded at export: no statistics of the input enter.
* Every layer maps air to zero: ``relu(bn(u)) - relu(bn(0))``. Features farther from the volume than
  the layers so far can reach are then exactly zero, so each resolution is padded by zeros over just
  that reach, and the result is EXACTLY
  that of a volume in infinite air: no cell sees a border that is not there, and every receptive
      field lies inside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .network_config import PnetConfig


class AirConv(nn.Module):
    """Convolution and BatchNorm that also tell what they answer to air (an input of zeros)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm: nn.Module = nn.BatchNorm3d(outputs, momentum=0.03)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(y, y_of_air)`` of shapes (B, C, D, H, W) and (1, C, 1, 1, 1)."""
        norm = self.norm
        assert isinstance(norm, nn.BatchNorm3d)
        u = self.conv(x)

        # This form also returns the statistics that were used, which the answer to air needs.
        y, mean, inverse_std = torch.native_batch_norm(
            u,
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
            norm.training,
            norm.momentum if norm.momentum is not None else 0.1,
            norm.eps,
        )

        if not norm.training:
            assert norm.running_mean is not None and norm.running_var is not None
            mean, inverse_std = norm.running_mean, torch.rsqrt(norm.running_var + norm.eps)

        air = norm.bias - mean.detach() * inverse_std.detach() * norm.weight
        return y, air.to(y.dtype).view(1, -1, 1, 1, 1)


class FoldedConv(nn.Module):
    """An ``AirConv`` whose BatchNorm has become part of the convolution."""

    def __init__(self, source: AirConv) -> None:
        super().__init__()
        norm = source.norm
        assert (
            isinstance(norm, nn.BatchNorm3d)
            and norm.running_var is not None
            and norm.running_mean is not None
        )

        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        old = source.conv
        self.conv = nn.Conv3d(
            old.in_channels, old.out_channels, 3, old.stride[0], padding=1, bias=True
        )
        self.conv.weight.data = old.weight.detach() * scale.view(-1, 1, 1, 1, 1)
        self.conv.bias.data = norm.bias.detach() - norm.running_mean * scale  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As ``AirConv.forward``."""
        y = self.conv(x)
        bias = self.conv.bias
        assert bias is not None
        return y, bias.to(y.dtype).view(1, -1, 1, 1, 1)


def _activate(y: Tensor, air: Tensor) -> Tensor:
    return F.relu(y) - F.relu(air)


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with a shortcut, mapping air to zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first: nn.Module = AirConv(inputs, outputs)
        self.second: nn.Module = AirConv(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Conv3d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, outputs, D, H, W)."""
        y, air = self.first(x)
        y, air = self.second(_activate(y, air))
        return _activate(y + self.shortcut(x), air)


class UpBlock(nn.Module):
    """Doubles the resolution of ``deep``, adds the encoder's features and mixes them."""

    def __init__(self, deep: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv3d(deep, outputs, 1, bias=False)
        self.lateral = nn.Conv3d(skip, outputs, 1, bias=False)
        self.mix = ResidualBlock(outputs, outputs)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """(B, deep, D, H, W), (B, skip, 2D, 2H, 2W) -> (B, outputs, 2D, 2H, 2W)."""
        up = F.interpolate(self.narrow(deep), scale_factor=2.0, mode="nearest")
        out: Tensor = self.mix(up + self.lateral(skip))
        return out


def _pad(x: Tensor, cells: int) -> Tensor:
    return F.pad(x, (cells, cells, cells, cells, cells, cells))


def _crop(x: Tensor, cells: int) -> Tensor:
    if cells == 0:
        return x
    return x[:, :, cells:-cells, cells:-cells, cells:-cells]


def window(hu: Tensor) -> Tensor:
    """HU (B, 1, D, H, W) -> (B, 2, D, H, W): whole range and soft-tissue window.

    Air (-1000 HU and below) is 0.
    """
    # Literals, as TorchScript reads no constant of another module (AIR_OF_SCALE_HU is the -1000).
    return torch.cat(
        [((hu + 1000.0) / 1000.0).clamp(0.0, 2.5), ((hu + 200.0) / 400.0).clamp(0.0, 1.0)], dim=1
    )


class Pnet(nn.Module):
    """Dense projection network: HU (B, 1, D, H, W) -> latents and descriptors of the cells.

    The last three dimensions must be multiples of ``config.alignment``; pad with air (<= -1000 HU).
    Cell ``i`` of an axis is centred on voxel ``config.stride * i + config.first_cell``. Output: (B,
    3 + descriptor, D/s, H/s, W/s); the first three channels are the latent ``p`` of Eq. 2 (x, y, z,
    LPS), the others the raw descriptors.
    """

    def __init__(self, config: PnetConfig) -> None:
        super().__init__()
        self.margins = list(config.margins)
        self.stem: nn.Module = AirConv(2, config.stem, stride=2)
        self.stages = nn.ModuleList()
        width = config.stem
        for channels, blocks in config.stages:
            layers = [ResidualBlock(width if n == 0 else channels, channels) for n in range(blocks)]
            self.stages.append(nn.Sequential(*layers))
            width = channels

        self.ups = nn.ModuleList()
        for n, channels in enumerate(config.decoder):
            self.ups.append(UpBlock(width, config.stages[-2 - n][0], channels))
            width = channels

        self.project = nn.Sequential(
            nn.Conv3d(width, config.head, 1),
            nn.ReLU(),
            nn.Conv3d(config.head, config.head, 1),
            nn.ReLU(),
            nn.Conv3d(config.head, 3, 1),
        )

        self.describe: nn.Module = nn.Identity()
        self.has_descriptor = config.descriptor > 0
        if self.has_descriptor:
            self.describe = nn.Sequential(
                nn.Conv3d(width, config.head, 1),
                nn.ReLU(),
                nn.Conv3d(config.head, config.descriptor, 1),
            )

    def forward(self, hu: Tensor) -> Tensor:
        """HU (B, 1, D, H, W) -> (B, 3 + descriptor, D/s, H/s, W/s)."""
        margin = self.margins[0]
        y, air = self.stem(_pad(window(hu), 2 * margin))
        x = _activate(y, air)

        skips: list[Tensor] = []
        for n, stage in enumerate(self.stages):
            if n > 0:
                x = _pad(F.max_pool3d(x, 2), self.margins[n] - margin // 2)
                margin = self.margins[n]
            x = stage(x)
            skips.append(x)

        depth = len(skips) - 2
        for up in self.ups:
            x = up(_crop(x, margin - self.margins[depth] // 2), skips[depth])
            margin = self.margins[depth]
            depth -= 1
        x = _crop(x, margin)

        latent: Tensor = self.project(x)
        if self.has_descriptor:
            return torch.cat([latent, self.describe(x)], dim=1)

        return latent


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Fold the running statistics of every ``AirConv`` into its convolution, in place."""
    for name, child in net.named_children():
        if isinstance(child, AirConv):
            setattr(net, name, FoldedConv(child))
        else:
            fold_batch_norm(child)
    return net
