"""The alignments of a query with references, remembered as long as the query is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import TemplateError
from .overlap import Overlap, find_overlap, fit_affine
from .sketch import Sketch

#: So many references are compared with a query, and the most alike of them aligned (time).
COMPARED, ALIGNED = 8, 3


class Alignments:
    """How references lie to one query, each found once, whoever asks for it again."""

    def __init__(self, query: Sketch) -> None:
        self._query = query
        self._compared: dict[str, tuple[Sketch, Overlap | None]] = {}
        self._fitted: dict[str, Overlap] = {}

    def best(self, sketches: Mapping[str, Any]) -> dict[str, Overlap]:
        """Affine maps from the most alike of the references to the query, by name.

        Not for inference mode: the maps are found along gradients.

        Args:
            sketches: of references, by name, as a template holds them.

        Raises:
            TemplateError: a sketch is damaged.
        """
        names = list(sketches)[:COMPARED]
        try:
            keys = {name: json.dumps([name, sketches[name]]) for name in names}
            for name, key in keys.items():
                if key not in self._compared:
                    reference = Sketch.from_json(name, sketches[name])
                    self._compared[key] = (reference, find_overlap(reference, self._query))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise TemplateError(f"the template is damaged ({error})") from error

        scores = {n: o.score for n, key in keys.items() if (o := self._compared[key][1])}
        best = sorted(scores, key=lambda name: -scores[name])[:ALIGNED]
        return {name: self._fit(keys[name]) for name in best}

    def _fit(self, key: str) -> Overlap:
        if key not in self._fitted:
            reference, overlap = self._compared[key]
            assert overlap is not None
            self._fitted[key] = fit_affine(reference, self._query, overlap)
        return self._fitted[key]
