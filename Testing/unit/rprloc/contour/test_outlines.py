"""What a template keeps of a reference for contours, and contours carried with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.samples import Sample

from rprloc.contour.contours import carry_contours
from rprloc.contour.learning import learn_with_outlines
from rprloc.contour.outlines import Outlines, outlines_of
from rprloc.errors import InputError, TemplateError
from rprloc.image.volume import Volume, read_volume
from rprloc.localization.locator import Locator
from rprloc.localization.result import Result
from rprloc.localization.template import Template
from rprloc.model.loading import load_model
from rprloc.targets.loading import load_targets
from rprloc.targets.placement import usable_targets

Learnt = tuple[Locator, Volume, Template]


@pytest.fixture(scope="module")
def learnt(tiny_model: Path, sample: Sample) -> Learnt:
    """A locator with random weights, the reference, and its template with outlines."""
    locator = Locator(load_model(tiny_model, torch.device("cpu")))
    volume = read_volume(sample.reference)
    usable = usable_targets(load_targets(sample.reference_labels, sample.label_ids), volume)
    return locator, volume, learn_with_outlines(locator, volume, usable).template


def located(locator: Locator, volume: Volume, template: Template) -> list[Result]:
    """What random weights answer on the reference; where that is does not matter here."""
    return locator.locate(locator.embed(volume), template)


def test_a_template_file_keeps_masks_and_points(learnt: Learnt, tmp_path: Path) -> None:
    _, _, template = learnt
    template.write(tmp_path / "t.json")
    (found,) = outlines_of(Template.read(tmp_path / "t.json"))
    (before,) = outlines_of(template)
    assert set(found.masks) == {"Head", "Spine"}
    for name, mask in before.masks.items():
        np.testing.assert_array_equal(found.masks[name].voxels, mask.voxels)
    torch.testing.assert_close(found.points.position, before.points.position)
    lengths = found.points.descriptors.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert len(json.dumps(dict(template.outlines))) < 300_000


def test_contours_say_whose_answer_they_belong_to(learnt: Learnt) -> None:
    locator, volume, template = learnt
    embedding = locator.embed(volume)
    results = [replace(r, status="ok", radius90_mm=4.5) for r in located(locator, volume, template)]
    found = carry_contours(locator, embedding, template, results)
    assert {c.status for c in found.contours} == {"ok"}
    assert {c.radius90_mm for c in found.contours} == {4.5}
    (field,) = found.fields.values()
    assert field.least_jacobian() > 0 or found.notes


def test_nothing_is_carried_for_what_was_not_found(learnt: Learnt) -> None:
    locator, volume, template = learnt
    embedding = locator.embed(volume)
    results = locator.locate(embedding, template)
    lost = [replace(results[0], status="outside"), replace(results[1], status="ok")]
    found = carry_contours(locator, embedding, template, lost)
    assert [c.target for c in found.contours] == [results[1].target]
    none = [replace(r, status="failed") for r in results]
    assert carry_contours(locator, embedding, template, none).contours == []


def test_several_references_are_fused(learnt: Learnt) -> None:
    locator, volume, template = learnt
    (name,) = template.outlines
    other = replace(template, outlines={"other": template.outlines[name]})
    targets = [
        replace(t, examples=tuple(replace(e, reference="other") for e in t.examples))
        for t in template.targets
    ]
    pooled = template.merged(replace(other, targets=tuple(targets), sketches={}))
    assert set(pooled.outlines) == {name, "other"}
    embedding = locator.embed(volume)
    results = [replace(r, status="ok") for r in locator.locate(embedding, pooled)]
    found = carry_contours(locator, embedding, pooled, results)
    alone = carry_contours(locator, embedding, template, results)
    assert set(found.fields) == {name, "other"}
    for both, one in zip(found.contours, alone.contours, strict=True):
        np.testing.assert_array_equal(both.mask.voxels, one.mask.voxels)


def test_templates_without_masks_say_what_to_do(learnt: Learnt) -> None:
    with pytest.raises(InputError, match="--contours"):
        outlines_of(replace(learnt[2], outlines={}))


@pytest.mark.parametrize("damage", [{}, {"masks": 3}, {"masks": {}, "points": {"count": 5}}])
def test_damaged_outlines_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises(TemplateError):
        Outlines.from_json("r", damage)
