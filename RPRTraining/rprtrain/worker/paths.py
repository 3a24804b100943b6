"""The one parameter that all methods of the training have."""

from __future__ import annotations

from pathlib import Path

from rprloc.worker.errors import BadRequestError
from rprloc.worker.job import Job


def path_of(job: Job, name: str) -> Path:
    """The parameter as a path; raises BadRequestError."""
    text = job.params.get(name)
    if not isinstance(text, str) or not text or "\0" in text:
        raise BadRequestError(f"{name!r} is missing or is not a path")
    return Path(text)
