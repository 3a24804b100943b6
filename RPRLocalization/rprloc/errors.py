"""Errors whose text is meant for the user: one line that says what failed, why, and what to do."""

from __future__ import annotations


class RprLocError(Exception):
    """Base of all errors the engine raises on purpose; ``str(error)`` is one line for the user."""


class InputError(RprLocError):
    """A file, volume, target or option that the user gave cannot be used."""


class ModelError(RprLocError):
    """A model folder is missing, damaged, or not one of ours."""


class TemplateError(RprLocError):
    """A template is damaged, or belongs to another model."""


class OutputError(RprLocError):
    """Results cannot be written: folder exists, is read-only, or the disk is full."""


class DeviceError(RprLocError):
    """The device asked for is not there."""


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, of the machine or of a GPU.

    Torch reports both as RuntimeError.
    """
    if isinstance(error, MemoryError):
        return True

    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _OUT_OF_MEMORY)


def explain_unexpected(error: BaseException) -> str:
    """Return one line for the user about an exception that the engine did not raise on purpose."""
    if is_out_of_memory(error):
        gpu = "cuda" in str(error).lower()
        remedy = "use the CPU" if gpu else "close other programs"
        return f"not enough memory for this CT: {remedy}, or crop the CT"

    text = one_line(error)
    return f"internal error ({type(error).__name__}: {text}): please report it"


def one_line(error: BaseException) -> str:
    """Return the first line of the error's text that says something, without surplus blanks."""
    if isinstance(error, RprLocError):
        return " ".join(str(error).split())

    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)
