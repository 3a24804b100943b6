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
