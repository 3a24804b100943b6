"""The record of a training (``run.json``): what was asked for and how far it got, to go on with."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from rprloc.errors import InputError, OutputError, RprLocError
from rprloc.files import atomic_write_text, output_errors

if TYPE_CHECKING:
    import torch

    from .request import TrainingRequest

RUN_NAME = "run.json"
SCHEMA, SCHEMA_VERSION = "rprloc-run", 1
State = Literal["running", "interrupted", "stopped", "done"]


@dataclass
class RunRecord:
    """How far a training got.

    Attributes:
        folder: model folder.
        request: ``TrainingRequest.to_json``.
        state: ``running``; ``interrupted`` (it ended without saying so: crash, closed application,
            or no disk space); ``stopped`` (early, on request) and ``done`` have exported a model.
        stage, step, fraction: at the last checkpoint.
        finished: stages that are complete.
        updated: when it was written, UTC.
    """

    folder: Path
    request: dict[str, Any]
    state: State = "running"
    stage: str = ""
    step: int = 0
    fraction: float = 0.0
    finished: list[str] = field(default_factory=list)
    updated: str = ""

    @property
    def unfinished(self) -> bool:
        """True if there is something to go on with."""
        return self.state == "interrupted"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        keys = ("request", "state", "stage", "step", "fraction", "finished", "updated")
        content = {key: getattr(self, key) for key in keys}
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **content}

    def write(self) -> None:
        """Write ``run.json`` atomically; raises OutputError."""
        self.updated = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        atomic_write_text(self.folder / RUN_NAME, json.dumps(self.to_json(), indent=1) + "\n")

    def to_request(self, device: torch.device) -> TrainingRequest:
        """The request that goes on with this training; raises InputError if it is damaged."""
        from .request import TrainingRequest  # needs torch, which reading the record does not

        return TrainingRequest.from_json(self.request, self.folder, device)


def read_run(folder: Path) -> RunRecord | None:
    """The record in a folder, None without one; raises InputError if it is damaged."""
    path = folder / RUN_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    try:
        if data["schema"] != SCHEMA or data["schema_version"] != SCHEMA_VERSION:
            raise ValueError("schema")
        record = RunRecord(
            folder, dict(data["request"]), data["state"], str(data["stage"]), int(data["step"])
        )
        record.fraction, record.updated = float(data["fraction"]), str(data["updated"])
        record.finished = [str(name) for name in data["finished"]]
        if record.state not in ("running", "interrupted", "stopped", "done"):
            raise ValueError("state")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the notes of a training") from error
    if record.state == "running" and not is_locked(folder):
        record.state = "interrupted"
    return record


def find_runs(folder: Path) -> list[RunRecord]:
    """Trainings in a folder and its subfolders, the latest first; damaged ones are passed over."""
    if not folder.is_dir():
        return []
    places = [folder, *sorted(p for p in folder.iterdir() if p.is_dir())]
    records = []
    for place in places:
        try:
            record = read_run(place)
        except RprLocError:
            continue
        if record is not None:
            records.append(record)
    return sorted(records, key=lambda record: record.updated, reverse=True)


LOCK_NAME = "run.lock"

if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock in a block; the system releases it if the process is killed.

    Raises:
        OutputError: if another training holds it, or the folder cannot be written.
    """
    path = folder / LOCK_NAME
    with output_errors(path):
        stream = open(path, "ab")  # noqa: SIM115 (it is closed below, and locked as long as it is open)
    try:
        try:
            _lock(stream)
        except OSError as error:
            raise OutputError(f"{folder}: another training is writing to this folder") from error
        yield
    finally:
        stream.close()


def is_locked(folder: Path) -> bool:
    """Tell whether a training is running in the folder."""
    if not (folder / LOCK_NAME).exists():
        return False
    try:
        with locked(folder):
            return False
    except OutputError:
        return True
