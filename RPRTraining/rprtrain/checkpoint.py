"""Checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from rprloc.errors import InputError, OutputError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state``; a kill at any time leaves the old or the new file.

    Args:
        path: the file.
        state: tensors, numbers, strings, lists and dicts.

    Raises:
        OutputError: if the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    # torch reports a full disk as RuntimeError.
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: the checkpoint could not be written ({error});"
            " free some space, then go on (--resume)"
        ) from error


def load_checkpoint(
    path: Path, device: torch.device, required: Collection[str] = ("step",)
) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        path: the file.
        device: where its tensors go.
        required: keys without which it is something else.

    Raises:
        InputError: if it is missing, damaged, or something else.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no checkpoint to resume from") from error
    # A damaged file fails in any way: zip, pickle, or a tensor's size.
    except Exception as error:
        raise InputError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); train without --resume"
        ) from error
    if not isinstance(state, dict) or not set(required) <= set(state):
        raise InputError(f"{path}: this is not a checkpoint of rprloc train")
    return state
