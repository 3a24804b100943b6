"""What to train, as data that survives a crash of the process that trains."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch

from rprloc.errors import InputError

from ..atlas.cross_patient import TEACHERS, Teacher
from ..config import STAGES, StageConfig
from ..data.sources import ImageSource

StageChoice = Literal["coarse", "fine", "both"]
UNKNOWN_SOURCE = {"source": "not stated", "licence": "not stated"}


@dataclass(frozen=True)
class TrainingRequest:
    """What to train.

    Attributes:
        images: folder of unannotated CTs.
        out: model folder to write.
        stage: which network; ``both`` trains the coarse one first.
        minutes, steps: length per stage (for ``both``, the minutes are shared); the stage's default
            steps if None.
        resume: go on from the checkpoints in ``out``.
        name, version, body_region, data: go into the card; ``data`` names the source and licence of
            the CTs.
        command: the command line, for the card.
        across: pairs across patients too (``rprtrain.atlas.atlas``); takes longer.
        teacher: what says for these pairs what corresponds, ``votes`` or ``overlap``
            (``rprtrain.atlas.cross_patient``).
        stages: settings by name.
        sources: the volumes to use; None for all of ``images``.
        batch: volumes per step.
        start_from: folder or name of a model whose weights are the start; empty: random weights.
    """

    images: Path
    out: Path
    stage: StageChoice = "both"
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    resume: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    name: str = "unnamed"
    version: str = "1.0.0"
    body_region: str = "not stated"
    data: dict[str, str] = field(default_factory=lambda: dict(UNKNOWN_SOURCE))
    command: str = ""
    across: bool = False
    teacher: Teacher = "votes"
    stages: dict[str, StageConfig] = field(default_factory=lambda: dict(STAGES))
    sources: tuple[ImageSource, ...] | None = None
    batch: int = 1
    start_from: str = ""

    @property
    def stage_names(self) -> list[str]:
        """The stages to train, in order."""
        return ["coarse", "fine"] if self.stage == "both" else [self.stage]

    @property
    def stage_minutes(self) -> float | None:
        """Minutes of each stage."""
        return None if self.minutes is None else self.minutes / len(self.stage_names)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; without ``out`` (the folder that holds it) and ``resume``."""
        content = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("out", "resume")
        }
        return content | {
            "images": str(self.images),
            "device": str(self.device),
            "stages": {name: stage.to_json() for name, stage in self.stages.items()},
            "sources": None if self.sources is None else [s.to_json() for s in self.sources],
        }

    @classmethod
    def from_json(
        cls, data: Any, out: Path, device: torch.device, resume: bool = True
    ) -> TrainingRequest:
        """Inverse of ``to_json``, for a folder and a device.

        Raises:
            InputError: for anything else.
        """
        try:
            # Notes of version 0.1 do not name the teacher.
            known = {"teacher": "votes", **data}
            values = {
                f.name: known[f.name]
                for f in fields(cls)
                if f.name not in ("out", "resume", "device")
            }
            sources = values.pop("sources")
            stages = {
                str(name): StageConfig.from_json(stage)
                for name, stage in values.pop("stages").items()
            }
            if values["stage"] not in ("coarse", "fine", "both"):
                raise ValueError("stage")
            if values["teacher"] not in TEACHERS:
                raise ValueError("teacher")
            if set(values["data"]) != set(UNKNOWN_SOURCE):
                raise ValueError("data")
            chosen = None if sources is None else tuple(ImageSource.from_json(s) for s in sources)
            images = Path(str(values.pop("images")))
            return cls(
                images, out, **values, stages=stages, sources=chosen, device=device, resume=resume
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{out}: the notes of the training are damaged ({type(error).__name__})"
            ) from error
