"""What can go wrong in the worker, as a code for programs and one line for people."""

from __future__ import annotations

import importlib.util

from ..errors import DeviceError, InputError, ModelError, OutputError, RprLocError, TemplateError

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")

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


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether the memory of the machine or of a GPU ran out (torch: RuntimeError for both)."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        part in str(error).lower() for part in OUT_OF_MEMORY
    )


def explain(error: BaseException) -> tuple[str, str]:
    """Code and one line for the user about any exception."""
    if isinstance(error, WorkerError):
        return error.code, one_line(error)
    if isinstance(error, RprLocError):
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "internal")
        return code, one_line(error)
    if is_out_of_memory(error):
        return "memory", "not enough memory for this CT: close other programs, or crop the CT"
    return (
        "internal",
        f"internal error ({type(error).__name__}: {one_line(error)}): please report it",
    )


def one_line(error: BaseException) -> str:
    """The first line of the error's text that says something, without surplus blanks."""
    if isinstance(error, RprLocError):
        return " ".join(str(error).split())
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)
