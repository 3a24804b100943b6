"""Figures of the training engine on real CTs: scan, time to the first step, data path, and what five minutes give.

    python Testing/Benchmarks/training.py FOLDER [--cts 24] [--minutes 5] [--json OUT.json]

Nothing is kept. The data path is what a step spends on drawing and resampling its two views;
"without" leaves that out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from rprtrain.config import STAGES, StageConfig
from rprtrain.data.dataset import TrainingVolume, load_volumes
from rprtrain.data.scan import scan_folder
from rprtrain.data.sources import ImageSource
from rprtrain.optimization import step
from rprtrain.optimization.events import TrainingEvent
from rprtrain.optimization.schedule import TrainingSchedule
from rprtrain.optimization.trainer import Trainer
from rprtrain.run.export import describe_machine
from rprtrain.run.request import TrainingRequest
from rprtrain.run.train import train_model

TIMED_STEPS = 12
CPU = torch.device("cpu")


def scan(folder: Path) -> tuple[list[ImageSource], dict[str, Any]]:
    """The usable CTs, and how long it took to find them."""
    started = time.perf_counter()
    rows = scan_folder(folder)
    used = [row.source for row in rows if row.used]
    return used, {
        "volumes": len(rows),
        "used": len(used),
        "seconds": round(time.perf_counter() - started, 1),
    }


def time_to_first_step(sources: list[ImageSource]) -> float:
    """Seconds from Start to the end of the first step."""
    started = time.perf_counter()
    begun: list[bool] = []
    asked: list[float] = []

    def note(event: TrainingEvent) -> None:
        if event.kind == "begin":
            begun.append(True)

    def stop() -> bool:
        """Asked before the stage, before the first step, and after it."""
        asked.extend([time.perf_counter() - started] * len(begun))
        return len(asked) > 2

    with tempfile.TemporaryDirectory() as folder:
        request = TrainingRequest(
            Path(folder), Path(folder), stage="coarse", steps=10, sources=tuple(sources)
        )
        train_model(request, stop, report=lambda line: None, on_event=note)
    return round(asked[2], 1)


def data_path(stage: StageConfig, volumes: list[TrainingVolume]) -> dict[str, float]:
    """Cells x volumes per second with and without the data path, and its share of the time of a step."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            stage, TrainingSchedule(10**6), volumes[1:], volumes[:1], CPU, Path(folder) / "x.ckpt"
        )
        trainer.net.train()
        trainer._step()
        spent = [0.0]
        usual = step.make_view_pair

        def timed(*args: Any) -> step.ViewPair:
            started = time.perf_counter()
            made = usual(*args)
            spent[0] += time.perf_counter() - started
            return made

        with mock.patch.object(step, "make_view_pair", timed):
            cells, seconds = timed_steps(trainer)
    return {
        "cells_per_second": round(cells / seconds, 1),
        "cells_per_second_without": round(cells / (seconds - spent[0]), 1),
        "share_of_step": round(spent[0] / seconds, 3),
        "seconds_per_step": round(seconds / TIMED_STEPS, 3),
    }


def timed_steps(trainer: Trainer) -> tuple[float, float]:
    """Cells seen and seconds spent in some steps, always the same ones."""
    trainer.history.steps = 0
    started = time.perf_counter()
    figures = [trainer._step() for _ in range(TIMED_STEPS)]
    return float(sum(f.cells for f in figures if f is not None)), time.perf_counter() - started


def minutes_give(sources: list[ImageSource], minutes: float) -> dict[str, Any]:
    """Held-out errors after a training of so many minutes (both stages), beside the mean-offset predictor's."""
    last: dict[str, TrainingEvent] = {}

    def note(event: TrainingEvent) -> None:
        if event.kind == "validation":
            last[event.stage] = event

    with tempfile.TemporaryDirectory() as folder:
        request = TrainingRequest(
            Path(folder), Path(folder), minutes=minutes, sources=tuple(sources)
        )
        train_model(request, report=print, on_event=note)
    figures: dict[str, Any] = {
        name: {"steps": e.step, **(e.validation or {})} for name, e in last.items()
    }
    ratio = figures["coarse"]["pair_mm"] / figures["coarse"]["mean_offset_mm"]
    return {
        "minutes": minutes,
        "cts": len(sources),
        **figures,
        "ratio": round(ratio, 3),
        "passed": ratio < 0.5,
    }


def main() -> int:
    """Measure, print and write; exit code 1 if the five minutes gave less than promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cts", type=int, default=24)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--skip-first-step", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sources, scanned = scan(args.folder)
    figures: dict[str, Any] = {"machine": describe_machine(CPU), "scan": scanned}
    if not args.skip_first_step:
        figures["seconds_to_first_step"] = time_to_first_step(sources)
    chosen = sources[:: max(1, len(sources) // args.cts)][: args.cts]
    figures["data_path"] = {
        name: data_path(stage, load_volumes(chosen[:4], stage.spacing))
        for name, stage in STAGES.items()
    }
    print(json.dumps(figures, indent=1), flush=True)
    figures["training"] = minutes_give(chosen, args.minutes)
    print(json.dumps(figures["training"], indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if figures["training"]["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
