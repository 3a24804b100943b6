"""Requests to locate two targets of the synthetic sample, as jobs of the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.samples import Sample
from support.workers import RecordedJob

LANDMARK = {"name": "Vertex", "kind": "landmark", "point_lps": [0.0, 0.0, 250.0]}
OTHER = {
    "name": "Neck",
    "kind": "box",
    "box_lps": {"lower": [-40, -30, 60], "upper": [40, 50, 120]},
}


def locate_job(tiny_model: Path, sample: Sample, **more: Any) -> RecordedJob:
    """A ``locate`` job with one query; ``more`` replaces or adds parameters."""
    params = {
        "model": str(tiny_model),
        "device": "cpu",
        "queries": [{"key": "q", "volume": {"path": str(sample.query)}}],
        **more,
    }
    return RecordedJob(**params)
