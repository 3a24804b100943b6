"""What can go wrong in the worker, as a code for programs and one line for people."""

from __future__ import annotations

import importlib.util

from ..errors import (
    DeviceError,
    InputError,
    ModelError,
    OutputError,
    RprLocError,
    TemplateError,
    explain_unexpected,
    is_out_of_memory,
    one_line,
)

_CODES: dict[type[RprLocError], str] = {
    InputError: "input",
    OutputError: "input",
    ModelError: "model",
    TemplateError: "template",
    DeviceError: "device",
}


class WorkerError(RprLocError):
    """An error of the worker itself; ``code`` is what the client branches on."""

    code = "internal"


class BadRequestError(WorkerError):
    """The request does not follow the protocol."""

    code = "bad-request"


class NoTorchError(WorkerError):
    """PyTorch is missing or cannot be loaded."""

    code = "no-torch"


class CancelledError(WorkerError):
    """The client asked to stop."""

    code = "cancelled"


def require_torch() -> None:
    """Import torch; raises NoTorchError, with the reason if it is there but cannot be loaded."""
    if importlib.util.find_spec("torch") is None:
        raise NoTorchError(
            "PyTorch is not installed: install it with the PyTorch extension, then try again"
        )
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:
        raise NoTorchError(
            f"PyTorch is installed but cannot be loaded ({one_line(error)}): install it again"
        ) from error


def explain(error: BaseException) -> tuple[str, str]:
    """Code and one line for the user about any exception."""
    if isinstance(error, WorkerError):
        return error.code, one_line(error)
    if isinstance(error, RprLocError):
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "internal")
        return code, one_line(error)
    code = "memory" if is_out_of_memory(error) else "internal"
    return code, explain_unexpected(error)
