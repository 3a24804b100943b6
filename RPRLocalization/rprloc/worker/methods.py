"""The methods that the worker starts with; those that need torch import it when they are first called."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

from .. import __version__
from .errors import BadRequestError, require_torch
from .job import Job, Method, Registry
from .shutdown import Exit

if TYPE_CHECKING:
    from .localization import EngineMethods

PROTOCOL = 1


def register(registry: Registry, leaving: Exit) -> None:
    """Add hello, devices, and the methods of the engine."""

    def hello(job: Job) -> dict[str, Any]:
        folder = job.params.get("folder")
        if folder is not None:
            if not isinstance(folder, str):
                raise BadRequestError("'folder' must be a path")
            leaving.clean(folder)
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "python": platform.python_version(),
            "torch": torch_version(),
            "methods": [*registry.names(), "action", "cancel"],
        }

    registry.add("hello", hello)
    registry.add("devices", devices)
    later = LazyMethods()
    for name in ("models", "load", "template.make", "template.merge", "locate"):
        registry.add(name, later.method(name.replace(".", "_")))


class LazyMethods:
    """The methods of ``EngineMethods``, made when the first of them is called."""

    def __init__(self) -> None:
        self._methods: EngineMethods | None = None

    def method(self, name: str) -> Method:
        """The method of that attribute name; raises NoTorchError when called without torch."""

        def call(job: Job) -> dict[str, Any]:
            if self._methods is None:
                job.progress("start", "starting PyTorch")
                require_torch()
                from .localization import EngineMethods

                self._methods = EngineMethods()
            answer: dict[str, Any] = getattr(self._methods, name)(job)
            return answer

        return call


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

    found = [{"name": "cpu", "title": "CPU"}]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            title = f"{torch.cuda.get_device_name(number)} (cuda:{number})"
            found.append({"name": f"cuda:{number}", "title": title})
    return {"devices": found}
