"""The table of a cohort as arrays, and what its folder says of where the CTs are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...localization.status import LOW_CONFIDENCE, OK
from ..locating import REQUEST
from ..parts import RESULTS_PARQUET

_TEXTS = ("series_id", "path", "template", "target", "kind", "status", "reason", "cause")
_CENTER, _SIZE = ("cx", "cy", "cz"), ("sx", "sy", "sz")
Texts = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """All rows of a cohort, n of them.

    Attributes:
        root: folder that the paths begin at.
        texts: column -> (n,) texts.
        center, size: (n, 3) LPS mm, NaN where there is none. spread, cycle: (n,) mm.
    """

    root: Path
    texts: dict[str, Texts]
    center: Floats
    size: Floats
    spread: Floats
    cycle: Floats

    def __len__(self) -> int:
        return len(self.spread)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Tell (n,) which rows have a position that may be shown."""
        return np.isin(self.texts["status"].astype(str), (OK, LOW_CONFIDENCE))


def read_answers(folder: Path) -> Answers:
    """Read the table of `cohort locate`. Raises InputError if there is none, or it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / RESULTS_PARQUET
    if not path.is_file():
        raise InputError(f"{folder}: holds no {RESULTS_PARQUET}: let `cohort locate` end first")
    try:
        table = pq.read_table(path)
        texts = {name: np.array(table[name].to_pylist(), dtype=object) for name in _TEXTS}
        center, size = (
            np.column_stack([_numbers(table, name) for name in names]) for names in (_CENTER, _SIZE)
        )
        spread, cycle = _numbers(table, "spread_mm"), _numbers(table, "cycle_mm")
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise InputError(f"{path}: is damaged: let `cohort locate` write it again") from error
    return Answers(_root(folder), texts, center, size, spread, cycle)


def _numbers(table: Any, name: str) -> Floats:
    return np.array(
        [np.nan if value is None else value for value in table[name].to_pylist()], dtype=np.float64
    )


def _root(folder: Path) -> Path:
    try:
        return Path(json.loads((folder / REQUEST).read_text(encoding="utf-8"))["root"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / REQUEST}: is missing or damaged") from error
