"""Templates: round trip, pooling, and refusal of what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rprloc.errors import OutputError, TemplateError
from rprloc.localization.template import Example, Template, TemplateTarget
from rprloc.model.card import ModelCard, StageCard
from rprloc.model.network_config import PnetConfig

NET = PnetConfig(stem=2, stages=((2, 1),))


def card(digest: str = "a") -> ModelCard:
    return ModelCard(
        "m", "1", "neck", StageCard("coarse.pt", digest * 64, 4.0, 500.0, NET, {}), None, {}
    )


def example(reference: str, kind: str = "box", fine: bool = True) -> Example:
    rng = np.random.default_rng(len(reference))
    points = 9 if kind == "box" else 4

    def numbers(columns: int) -> np.ndarray:
        return rng.normal(size=(points, columns)).astype(np.float32)

    size = np.array([30.0, 20.0, 10.0], dtype=np.float32) if kind == "box" else None
    return Example(reference, size, numbers(3) * 20, numbers(3), numbers(11) if fine else None)


def template(reference: str = "r1", name: str = "Mandible", kind: str = "box") -> Template:
    target = TemplateTarget(name, kind, (example(reference, kind),))  # type: ignore[arg-type]
    return Template(card().identity, "neck", (target,))


@pytest.mark.parametrize("kind", ["box", "landmark"])
def test_round_trip_through_a_file(tmp_path: Path, kind: str) -> None:
    written = template(kind=kind)
    written.write(tmp_path / "t.json")
    read = Template.read(tmp_path / "t.json")
    assert read.model == written.model
    a, b = written.targets[0].examples[0], read.targets[0].examples[0]
    assert np.allclose(a.offsets, b.offsets, atol=0.006)
    assert np.allclose(a.coarse, b.coarse, atol=1e-5)
    assert a.fine is not None
    assert b.fine is not None
    assert np.allclose(a.fine, b.fine, atol=6e-4)


def test_an_existing_file_is_kept_without_overwrite(tmp_path: Path) -> None:
    template().write(tmp_path / "t.json")
    before = (tmp_path / "t.json").read_bytes()
    with pytest.raises(OutputError):
        template("other").write(tmp_path / "t.json")
    assert (tmp_path / "t.json").read_bytes() == before
    template("other").write(tmp_path / "t.json", overwrite=True)
    assert Template.read(tmp_path / "t.json").targets[0].examples[0].reference == "other"


def test_pooling_collects_examples_and_new_targets() -> None:
    pooled = template("r1").merged(template("r2")).merged(template("r1", "Larynx"))
    assert [t.name for t in pooled.targets] == ["Mandible", "Larynx"]
    assert [e.reference for e in pooled.targets[0].examples] == ["r1", "r2"]


def test_pooling_refuses_the_same_reference_another_kind_and_another_model() -> None:
    with pytest.raises(TemplateError, match="already in"):
        template("r1").merged(template("r1"))
    with pytest.raises(TemplateError, match="landmark"):
        template("r1").merged(template("r2", kind="landmark"))
    other = Template(card("b").identity, "neck", template("r2").targets)
    with pytest.raises(TemplateError, match="different models"):
        template("r1").merged(other)


def test_a_template_of_another_model_is_refused() -> None:
    template().check_model(card())
    with pytest.raises(TemplateError, match="belongs to model"):
        template().check_model(card("b"))


def damage(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text())
    data.update(changes)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": "other"}, "not an RPRLoc template"),
        ({"schema_version": 99}, "version 99"),
        ({"targets": []}, "damaged"),
        ({"targets": [{"name": "x", "kind": "sphere", "examples": []}]}, "damaged"),
        ({"targets": [{"name": "x", "kind": "box", "examples": [{"reference": "r"}]}]}, "damaged"),
        ({"model": 3}, "damaged"),
    ],
)
def test_damaged_templates_are_refused_in_one_line(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    path = tmp_path / "t.json"
    template().write(path)
    damage(path, **changes)
    with pytest.raises(TemplateError, match=said) as caught:
        Template.read(path)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    template().write(path)
    data = json.loads(path.read_text())
    data["targets"][0]["examples"][0]["coarse"][0][0] = float("nan")
    path.write_text(json.dumps(data))
    with pytest.raises(TemplateError):
        Template.read(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot be read"):
        Template.read(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(TemplateError, match="not an RPRLoc template"):
        Template.read(tmp_path / "x.json")
