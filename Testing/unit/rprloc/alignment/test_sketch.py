"""The sketch of a CT: what it holds, and what a file of one may say."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
import torch

from rprloc.alignment.sketch import LEVELS, Sketch
from rprloc.image.hounsfield import AIR_HU


def sketch() -> Sketch:
    """26 x 21 x 30 voxels of 4 mm: a lung, a bone, muscle and fat, 3 x 3 x 3 cells each."""
    hu = torch.full((26, 21, 30), float(AIR_HU))
    for number, value in enumerate((700.0, -850.0, 40.0, -100.0)):
        hu[3 * number : 3 * number + 3, 3:6, 6:9] = value
    return Sketch.of("ct", hu, torch.tensor([10.0, 20.0, 30.0]), 4.0)


def test_each_kind_of_tissue_has_its_own_share() -> None:
    shares = sketch().shares[:, :4, 1, 2]
    assert torch.allclose(shares, torch.eye(4), atol=0.05)


def test_cells_lie_where_their_voxels_do() -> None:
    # Cell 0 holds voxels 0 to 2, whose middle is voxel 1.
    assert sketch().to_mm(torch.zeros(3)).tolist() == [14.0, 24.0, 34.0]
    index = torch.tensor([1.5, 0.5, 2.0])
    assert torch.allclose(sketch().to_index(sketch().to_mm(index)), index)


def test_a_file_keeps_it_to_a_fifteenth() -> None:
    data = json.loads(json.dumps(sketch().to_json()))
    again = Sketch.from_json("ct", data)
    assert again.shape == sketch().shape
    assert float((again.shares - sketch().shares).abs().max()) <= 0.5 / LEVELS + 1e-6
    assert torch.allclose(again.origin, sketch().origin)
    assert again.cell_mm == 12.0


def packed(levels: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(levels.astype(np.uint8).tobytes())).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"shares": "not base64!"},
        {"shares": base64.b64encode(b"not compressed").decode()},
        {"shares": packed(np.zeros(10))},
        {"shares": packed(np.full(4 * 8 * 7 * 10, LEVELS + 1))},
        # What unpacks to more than its size says: never unpacked as a whole.
        {"shares": packed(np.zeros(50_000_000))},
        {"shape": [8, 7]},
        {"shape": [0, 7, 10]},
        {"shape": [100_000, 100_000, 100_000]},
        {"origin_mm": [0.0, float("nan"), 0.0]},
        {"origin_mm": [0.0]},
        {"cell_mm": 0.0},
        {"cell_mm": "wide"},
    ],
)
def test_a_damaged_sketch_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Sketch.from_json("ct", {**sketch().to_json(), **change})
