"""The worker with the bundled model on the synthetic sample, and its end in the middle of work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.workers import Worker

from rprloc.image.volume import read_volume
from rprloc.model.finding import BUNDLED
from rprloc.targets.labelmap import read_label_map
from rprloc.targets.loading import load_targets

SAMPLE = BUNDLED.parent / "SampleData"
ORGANS = BUNDLED.parent / "Templates" / "han-ct-organs.json"
QUERY = {"path": str(SAMPLE / "query.nii.gz")}
TOLERANCE_MM = 8.0


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path)
    yield started
    started.stop()


def marked_reference(folder: Path) -> dict[str, Any]:
    """The sample's reference and two of its organs, as arrays in ``folder``."""
    volume, labels = (
        read_volume(SAMPLE / "reference.nii.gz"),
        read_label_map(SAMPLE / "reference.labels.nii.gz"),
    )
    np.save(folder / "ct.npy", volume.array)
    targets = []
    for name, value in json.loads((SAMPLE / "label_ids.json").read_text(encoding="utf-8")).items():
        if name in ("Brainstem", "Mandible"):
            np.save(folder / f"{name}.npy", labels.mask(value))
            mask = {
                "npy": str(folder / f"{name}.npy"),
                "ijk_to_lps": labels.geometry.ijk_to_lps.tolist(),
            }
            targets.append({"name": name, "kind": "segment", "mask": mask})
    ijk_to_lps = volume.geometry.ijk_to_lps.tolist()
    return {
        "reference": {"npy": str(folder / "ct.npy"), "ijk_to_lps": ijk_to_lps, "name": "reference"},
        "targets": targets,
    }


def test_organs_are_found_and_the_model_is_loaded_once(worker: Worker, tmp_path: Path) -> None:
    marked = marked_reference(tmp_path)
    truth = {
        t.name: t.box
        for t in load_targets(SAMPLE / "query.labels.nii.gz", SAMPLE / "label_ids.json")
    }
    phases = []
    for _ in range(2):
        queries = [{"key": "q", "volume": QUERY}]
        events = worker.until(
            worker.send("locate", device="cpu", **marked, queries=queries), "result", "error"
        )
        assert events[-1]["event"] == "result"
        phases.append({event["phase"] for event in events if event["event"] == "progress"})
        rows = next(event["results"] for event in events if event["event"] == "partial")
        assert [(row["target"], row["status"]) for row in rows] == [
            ("Brainstem", "ok"),
            ("Mandible", "ok"),
        ]
        for row in rows:
            box = truth[row["target"]]
            assert box is not None
            assert np.linalg.norm(np.array(row["center"]) - box.center) < TOLERANCE_MM
    assert phases == [{"start", "model", "reference", "query"}, {"query"}]


def test_cancel_keeps_what_is_done(worker: Worker) -> None:
    queries = [{"key": str(number), "volume": QUERY} for number in range(40)]
    running = worker.send("locate", device="cpu", template=str(ORGANS), queries=queries)
    events = worker.until(running, "partial")
    worker.send("cancel", id=running)
    events += worker.until(running, "error", "result")
    done = sum(event["event"] == "partial" for event in events)
    assert events[-1]["code"] == "cancelled" and f"{done} of 40" in events[-1]["message"]
    assert worker.ask("load", device="cpu")["event"] == "result"


def test_closing_stdin_ends_it_while_a_volume_is_searched(worker: Worker) -> None:
    queries = [{"key": str(number), "volume": QUERY} for number in range(40)]
    worker.until(
        worker.send("locate", device="cpu", template=str(ORGANS), queries=queries), "partial"
    )
    assert worker.close_input() == 0
