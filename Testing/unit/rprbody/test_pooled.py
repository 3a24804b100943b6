"""Several references together: whose templates are pooled, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rprbody.cases import Case
from rprbody.methods import Found
from rprbody.pooled import POOLED, pooled_rows

from rprloc.geometry import Points
from rprloc.localization.template import Example, Template, TemplateTarget
from rprloc.targets.target import target_from_point

PLACES = {"first": ("carina", "xiphoid_tip"), "second": ("carina",), "third": ("carina", "chin")}


class NamesOnly:
    """In the place of the product: says which references it was given."""

    def template_of(self, case: Case) -> Template:
        """A template of the case's targets, without latents."""
        one = np.zeros((1, 3), np.float32)
        entries = tuple(
            TemplateTarget(name, "landmark", (Example(case.name, None, one, one, None),))
            for name in case.targets
        )
        return Template({}, "", entries)

    def encode(self, volume: Any) -> Any:
        """Nothing."""
        return volume

    def find(self, learned: Template, encoded: Any, names: list[str]) -> dict[str, Found]:
        """The first target's references as what is told."""
        given = {t.name: [e.reference for e in t.examples] for t in learned.targets}
        return {n: Found(np.array([1.0, 2.0, 4.0]), None, {"given": given[n]}) for n in names}


def case(name: str) -> Case:
    place = Points(np.array([[1.0, 2.0, 3.0]]))
    targets = {n: target_from_point(n, place) for n in PLACES[name]}
    made = Case(name, Path(name), lambda: targets)
    object.__setattr__(made, "read", lambda: None)
    return made


def test_a_query_is_asked_by_all_others_for_what_several_of_them_have() -> None:
    cases = [case(name) for name in PLACES]
    rows = list(pooled_rows(NamesOnly(), cases, cases))  # type: ignore[arg-type]
    # Of xiphoid and chin there is one reference each: nothing to pool.
    assert [(r.query, r.target) for r in rows] == [(name, "carina") for name in PLACES]
    assert all(r.reference == POOLED and r.error_mm == 1.0 for r in rows)
    assert rows[0].told["given"] == ["second", "third"]
