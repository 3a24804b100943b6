"""The auto-encoder of patches, and its encoder run over a whole volume at once."""

from __future__ import annotations

from itertools import accumulate

from torch import Tensor, nn
from torch.nn import functional

LATENT = 96

_Triple = tuple[int, int, int]
# channels, kernel, stride; without padding the 16 x 32 x 32 voxels of a patch end in one
_LAYERS: tuple[tuple[int, _Triple, _Triple], ...] = (
    (16, (4, 4, 4), (2, 2, 2)),
    (32, (3, 3, 3), (2, 2, 2)),
    (64, (3, 3, 3), (1, 2, 2)),
    (LATENT, (1, 3, 3), (1, 1, 1)),
)
_SMALLEST = (2, 4, 4)


class AutoEncoder(nn.Module):
    """Patches (n, 1, 16, 32, 32) to LATENT numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        channels = (1, *(c for c, _, _ in _LAYERS))
        self.encoder = nn.ModuleList(
            nn.Conv3d(channels[n], channels[n + 1], kernel, stride)
            for n, (_, kernel, stride) in enumerate(_LAYERS)
        )

        wide = channels[-2]
        self.spread = nn.Linear(LATENT, wide * _SMALLEST[0] * _SMALLEST[1] * _SMALLEST[2])
        self.decoder = nn.Sequential(
            nn.ConvTranspose3d(wide, 32, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose3d(32, 16, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose3d(16, 1, 4, 2, 1),
        )

    def encode(self, patches: Tensor) -> Tensor:
        """Latents (n, LATENT) of patches (n, 1, 16, 32, 32)."""
        features = patches
        for number, layer in enumerate(self.encoder):
            features = layer(features if number == 0 else functional.leaky_relu(features, 0.1))
        return features.flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        """Patches (n, 1, 16, 32, 32) of latents (n, LATENT)."""
        start = functional.leaky_relu(self.spread(latents), 0.1)
        decoded: Tensor = self.decoder(start.unflatten(1, (-1, *_SMALLEST)))
        return decoded

    def forward(self, patches: Tensor) -> Tensor:
        """The patches after their way through the latents."""
        return self.decode(self.encode(patches))

    def encode_all(self, volume: Tensor) -> Tensor:
        """Latents (LATENT, z, y, x) of all windows of stride 2 of a volume (z, y, x).

        They are those that ``encode`` returns for each window.

        Only the first layer keeps its stride; the later ones step over the voxels that their
        strides would skip.
        """
        strides = [stride for _, _, stride in _LAYERS[1:]]
        steps = accumulate(
            strides, lambda a, b: (a[0] * b[0], a[1] * b[1], a[2] * b[2]), initial=(1, 1, 1)
        )
        first, *others = self.encoder
        features: Tensor = first(volume[None, None])
        for layer, step in zip(others, steps, strict=False):
            assert isinstance(layer, nn.Conv3d)
            features = functional.conv3d(
                functional.leaky_relu_(features, 0.1), layer.weight, layer.bias, dilation=step
            )
        return features[0]
