"""The methods that the worker starts with; those that need torch import it when first called."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from .. import __version__
from .errors import BadRequestError, require_torch
from .job import Job, Method, Registry
from .lazy import LazyMethods
from .shutdown import Shutdown

PROTOCOL = 1
CONTROL = ("action", "cancel")  # obeyed by the server itself, while another request is worked on
SESSION_METHODS = ("models", "load", "template.make", "template.merge", "locate")


def register(registry: Registry, shutdown: Shutdown) -> None:
    """Add hello, devices, and the methods of the session."""

    def hello(job: Job) -> dict[str, Any]:
        folder = job.params.get("folder")
        if folder is not None:
            if not isinstance(folder, str):
                raise BadRequestError("'folder' must be a path")
            shutdown.clean(folder)
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "python": platform.python_version(),
            "torch": torch_version(),
            "methods": [*registry.names(), *CONTROL],
        }

    registry.add("hello", hello)
    registry.add("devices", devices)
    LazyMethods(_session_table, needs_torch=True).add_to(registry, SESSION_METHODS)


def _session_table() -> Mapping[str, Method]:
    from .localization import SessionMethods

    return SessionMethods().table()


def torch_version() -> str | None:
    """The version of the installed torch, without importing it; None if it is not installed."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def devices(job: Job) -> dict[str, Any]:
    """The devices that ``load`` takes, besides ``auto``; raises NoTorchError."""
    require_torch()
    import torch

    choices = [{"name": "cpu", "title": "CPU"}]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            title = f"{torch.cuda.get_device_name(number)} (cuda:{number})"
            choices.append({"name": f"cuda:{number}", "title": title})
    return {"devices": choices}
