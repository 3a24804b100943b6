"""Which label of a label map is which target: a JSON file such as ``{"Mandible": 7}``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .markups import clean_name


def read_label_ids(path: str | Path) -> dict[str, int]:
    """Name -> label value, from a JSON file such as ``{"Mandible": 7}``.

    Raises InputError unless names are given once and not empty, and ids are positive and given
    once.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        pairs = json.loads(text, object_pairs_hook=list)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f'{path}: not a JSON file of label ids such as {{"Mandible": 7}}'
        ) from error
    if (
        not isinstance(pairs, list)
        or not pairs
        or not all(isinstance(pair, tuple) for pair in pairs)
    ):
        raise InputError(f'{path}: label ids must be one JSON object such as {{"Mandible": 7}}')
    return _checked_ids(path, pairs)


def _checked_ids(path: str | Path, pairs: Sequence[tuple[str, Any]]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for raw, value in pairs:
        name = clean_name(raw)
        if not name:
            raise InputError(f"{path}: a label has an empty name")
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise InputError(f"{path}: the id of {name!r} must be a whole number above 0")
        if name in ids or value in ids.values():
            raise InputError(f"{path}: {name!r} or its id {value} is given twice")
        ids[name] = value
    return ids
