"""A stand-in for the worker with the training plug-in: answers as the protocol page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rprloc.model.card import CARD_NAME
from support import version_0_1
from support.panels.fake_worker import FakeRequest, FakeWorker

Event = dict[str, Any]
STEPS = 40


def row(name: str, group: str = "", reason: str = "", **fields: Any) -> dict[str, Any]:
    """A row of the scan; left out if there is a reason."""
    usual = {
        "size": [512, 512, 120],
        "spacing": [0.977, 0.977, 2.5],
        "hu": [-1024, 3071],
        "z_mm": 300.0,
    }
    return {
        **({} if reason else usual),
        "path": f"/cts/{name}.nii.gz",
        "series": "",
        "name": name,
        "group": group or name,
        "used": not reason,
        "reason": reason,
        **fields,
    }


def training_events(stages: tuple[str, ...] = ("coarse", "fine")) -> list[Event]:
    """What a training of few steps tells."""
    events: list[Event] = [
        {"kind": "reading", "stage": stages[0], "message": "reading the CTs: 3 of 6"}
    ]
    for number, stage in enumerate(stages):
        events.append({"kind": "begin", "stage": stage, "message": "5 CTs to train on, 1 held out"})
        for step in range(0, STEPS + 1, 10):
            at = {"stage": stage, "step": step, "fraction": step / STEPS}
            total = {
                "total_fraction": (number + step / STEPS) / len(stages),
                "total_seconds_left": 60.0,
            }
            error = 80.0 / (number + 1) / (1.0 + step / 10)
            figures = {"pair_mm": error, "near_mm": error / 2, "loss": 1.0, "throughput": 12345.6}
            events.append({"kind": "step", **at, **total, **figures})
            held_out = {
                "pair_mm": error + 5.0,
                "near_mm": error,
                "mean_offset_mm": 90.0,
                "match_mm": None,
            }
            events.append({"kind": "validation", **at, **total, "validation": held_out})
        events.append(
            {"kind": "exported", "stage": stage, "fraction": 1.0, "message": f"exported {stage}"}
        )
    return events


def write_card(folder: Path, name: str) -> None:
    """Write the card of a coarse model; no networks, which the panels do not read."""
    card = json.loads((version_0_1.FOLDER / "model" / CARD_NAME).read_text(encoding="utf-8"))
    card.update(name=name, version="1.0.0", body_region="abdomen")
    del card["stages"]["fine"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")


class FakeTrainer(FakeWorker):
    """Answers from attributes that a test may change.

    rows: what a scan finds. actions: what was asked of the training. runs: what train.find answers.
    """

    def __init__(self, later: Any = None) -> None:
        super().__init__(later)
        self.rows = [row(f"patient{n}") for n in range(6)]
        self.rows.append(row("labels", reason="a label map, by its name"))
        self.actions: list[str] = []
        self.runs: list[dict[str, Any]] = []

    def act(self, request: FakeRequest, action: str) -> None:
        """Take an action as the worker does."""
        self.actions.append(action)
        answers = {"pause": "paused", "resume": "continued"}
        if action in answers:
            self.tell(request, [{"kind": answers[action]}])
        if action == "stop":
            self.later(
                lambda: request.tell(
                    {"event": "result", "folder": "/out", "state": "stopped", "model": "/out"}
                )
            )

    def tell(self, request: FakeRequest, events: list[Event]) -> None:
        """Send events of the training."""
        for event in events:
            self.later(lambda event=event: request.tell({"event": "partial", "progress": event}))

    def of(self, method: str) -> list[dict[str, Any]]:
        """Parameters of the requests of a method."""
        return [params for name, params in self.requests if name == method]

    def last(self, method: str) -> FakeRequest:
        """The latest request of a method."""
        return [request for request in self.open if request.method == method][-1]

    def _train_scan(self, params: Event) -> list[Event]:
        events: list[Event] = []
        for done, found in enumerate(self.rows, 1):
            events.append({"event": "partial", "row": found})
            text = f"{done} of {len(self.rows)}: {found['name']}"
            events.append(
                {
                    "event": "progress",
                    "phase": "scan",
                    "message": text,
                    "done": done,
                    "total": len(self.rows),
                }
            )
        return [*events, {"event": "result", "used": 6, "left_out": 1, "patients": 6}]

    def _train_plan(self, params: Event) -> list[Event]:
        count = len(params["rows"])
        numbers = {
            "coarse": (4.0, 500.0, 188.0, 6000, 7200.0),
            "fine": (3.0, 150.0, 93.0, 5000, 5400.0),
        }
        stages = []
        for name, (spacing, reach, seen, steps, seconds) in numbers.items():
            changed = {"spacing": spacing, "range_mm": reach, **params["changes"].get(name, {})}
            stages.append(
                {"name": name, **changed, "receptive_mm": seen, "steps": steps, "seconds": seconds}
            )
        sizes = {"memory_gb": 3.4, "gpu_gb": None, "disk_gb": 0.3}
        notes = ["only 6 patients: expect a weak model"] if count < 20 else []
        plan = {
            "preset": params["preset"],
            "device": "cpu",
            "training": count - 1,
            "held_out": 1,
            "patients": count,
        }
        plan["seconds"] = 12600.0 if params["measure"] else None
        return [
            {"event": "result", **plan, "stages": stages, **sizes, "notes": notes, "problem": ""}
        ]

    def _train_start(self, params: Event) -> list[Event]:
        folder = params.get("out") or params["resume"]
        told = [{"event": "partial", "progress": event} for event in training_events()]
        self.runs.insert(0, trained(folder, params.get("name", "resumed")))
        return [*told, {"event": "result", "folder": folder, "state": "done", "model": folder}]

    def _train_find(self, params: Event) -> list[Event]:
        return [{"event": "result", "runs": self.runs}]

    def _train_check(self, params: Event) -> list[Event]:
        rows = [
            {"name": "cycle error", "unit": "mm", "mean": 4.2, "p95": 9.6, "n": 400},
            {"name": "repeatability", "unit": "mm", "mean": 2.1, "p95": 5.0, "n": 400},
        ]
        if params["targets"]:
            rows.append(
                {"name": "liver: overlap (IoU)", "unit": "%", "mean": 61.0, "p95": None, "n": 3}
            )
        step = {
            "event": "progress",
            "phase": "check",
            "message": "pair 1 of 2",
            "done": 1,
            "total": 2,
        }
        errors = {
            "cycle error": [0.5 * n for n in range(60)],
            "repeatability": [0.2 * n for n in range(60)],
        }
        summary = {"volumes": 4, "pairs": 12, "held_out": True, "errors": errors, "left_out": []}
        summary["verdict"] = "Good: most points come back to where they started."
        return [step, {"event": "result", "rows": rows, **summary}]

    def _model_install(self, params: Event) -> list[Event]:
        folder = Path(params["into"]) / Path(params.get("folder") or params["path"]).stem
        if folder.exists() and not params["replace"]:
            return [
                {
                    "event": "error",
                    "code": "exists",
                    "message": f"There is a model {folder.name} already",
                }
            ]
        write_card(folder, folder.name)
        return [{"event": "result", "folder": str(folder), "card": {}}]

    _model_import = _model_install

    def _model_export(self, params: Event) -> list[Event]:
        return [{"event": "result", "path": params["path"], "bytes": 5_300_000}]


def trained(folder: str, name: str, state: str = "done") -> dict[str, Any]:
    """A training as train.find lists it."""
    done = state in ("done", "stopped")
    return {
        "folder": folder,
        "name": name,
        "body_region": "abdomen",
        "state": state,
        "stage": "fine" if done else "coarse",
        "step": STEPS,
        "fraction": 1.0 if done else 0.43,
        "updated": "2026-11-22T02:00:00+00:00",
        "images": "/cts",
        "model": folder if done else "",
    }
