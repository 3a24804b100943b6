"""From a marked target on a reference to its example in a template: where its points are, and their latents."""

from __future__ import annotations

import numpy as np
import torch

from .embedding import Embedding
from .field import LatentField
from .targets import Target
from .template import Example, Floats

CONTEXT_POINTS = 24
RING_MM = 15.0


def make_example(target: Target, embedding: Embedding, fine: LatentField | None) -> Example:
    """Read the latents of a target's points (key points, then context) in the reference's fields."""
    keys = target.points.xyz
    centre = keys[0] if target.box is None else target.box.center
    context = _ring(keys[0]) if target.inside is None else target.inside.xyz[:CONTEXT_POINTS]
    points = np.concatenate([keys, context])
    at = torch.as_tensor(points, dtype=torch.float32, device=embedding.coarse.values.device)
    return Example(
        reference=embedding.name,
        size_mm=None if target.box is None else np.asarray(target.box.size, dtype=np.float32),
        offsets=(points - centre).astype(np.float32),
        coarse=_numpy(embedding.coarse.at(at)[:, :3]),
        fine=None if fine is None else _numpy(fine.at(at)),
    )


def _ring(point: np.ndarray) -> np.ndarray:
    """Context of a landmark: the 6 face and 8 corner directions around it, (14, 3) LPS mm."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) / np.sqrt(3.0)
    ring: np.ndarray = point + RING_MM * np.concatenate([axes, signs])
    return ring


def _numpy(values: torch.Tensor) -> Floats:
    found: Floats = values.detach().cpu().numpy().astype(np.float32)
    return found
