"""Checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from rprloc.errors import InputError, OutputError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, lists, dicts); a kill at any time leaves the old or the new file.

    Raises OutputError if the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: the checkpoint could not be written ({error}); free some space, then go on (--resume)"
        ) from error


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; raises InputError if it is missing or damaged."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no checkpoint to resume from") from error
    except Exception as error:
        raise InputError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); train without --resume"
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"{path}: this is not a checkpoint of rprloc train")
    return state
