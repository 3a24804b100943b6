"""How references lie to a query is found once."""

from __future__ import annotations

import pytest
import torch

from rprloc.alignment import alignments
from rprloc.alignment.alignments import Alignments
from rprloc.alignment.sketch import Sketch
from rprloc.errors import TemplateError


def sketch(name: str) -> Sketch:
    """A body of random tissue, the same one each time."""
    shares = torch.rand((4, 12, 8, 8), generator=torch.Generator().manual_seed(3))
    return Sketch(name, shares, torch.zeros(3), 12.0)


def test_the_same_question_is_answered_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    fit = alignments.fit_affine

    def counted(*given: object) -> object:
        fits.append(given)
        return fit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(alignments, "fit_affine", counted)
    memory, held = Alignments(sketch("query")), {"reference": sketch("reference").to_json()}
    first, second = memory.best(held), memory.best(dict(held))
    assert first["reference"] is second["reference"]
    assert len(fits) == 1


def test_another_reference_of_the_same_name_is_another_one() -> None:
    memory = Alignments(sketch("query"))
    first = memory.best({"reference": sketch("reference").to_json()})
    moved = Sketch("reference", sketch("").shares, torch.tensor([60.0, 0.0, 0.0]), 12.0)
    second = memory.best({"reference": moved.to_json()})
    apart = first["reference"].shift - second["reference"].shift
    torch.testing.assert_close(apart, torch.tensor([60.0, 0.0, 0.0]), atol=2.0, rtol=0)


def test_a_damaged_sketch_is_told() -> None:
    with pytest.raises(TemplateError, match="damaged"):
        Alignments(sketch("query")).best({"reference": {"shape": "none"}})
