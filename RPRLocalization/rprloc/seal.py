"""Seals of JSON files that rprloc writes: a changed digit changes answers, and nobody would see it.

Torch-free and SimpleITK-free.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

#: The field that holds the seal.
SEAL: Final = "content_sha256"
#: All other fields of a template.
TEMPLATE_FIELDS: Final = (
    *("schema", "schema_version", "model", "body_region", "coordinate_system", "targets"),
    *("sketches", "outlines"),
)


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object with the SHA-256 of its content as a last field."""
    return {**unsealed(data), SEAL: _digest(data)}


def unsealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object without its seal."""
    return {key: value for key, value in data.items() if key != SEAL}


def broken_seal(data: dict[str, Any], fields: Collection[str]) -> str:
    """Say that the content is not what was written; empty if it is, or has no seal.

    Files of version 0.1 have none, but no field either that is not among ``fields``: that would be
    a damaged name, of the seal maybe.
    """
    if SEAL not in data and set(data) <= set(fields):
        return ""
    if data.get(SEAL) == _digest(data):
        return ""
    return (
        "its content is not what was written (damaged, or edited): get it again, or remove its "
        f"field {SEAL!r} if you changed it on purpose"
    )


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(unsealed(data), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
