"""Targets by the alignment of reference and query: where votes are in doubt, and only there.

The networks are random, so that votes find nothing, and all that is found is the alignment's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.samples import Sample

from rprloc.errors import TemplateError
from rprloc.image.volume import read_volume
from rprloc.localization.locator import Locator, Options
from rprloc.localization.result import Result
from rprloc.localization.template import Template
from rprloc.model.loading import ModelPair, load_model
from rprloc.model.radius import RadiusSettings
from rprloc.model.settings import ConfidenceThresholds
from rprloc.targets.loading import load_targets
from rprloc.targets.target import Target

SURE = RadiusSettings(0.0, {}, 1.0, 300.0, 25.0, "made up")
UNSURE = RadiusSettings(4.0, {}, 1.0, 300.0, 25.0, "made up")
HOPELESS = RadiusSettings(5.0, {}, 1.0, 300.0, 25.0, "made up")


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ModelPair:
    return load_model(tiny_model, torch.device("cpu"))


@pytest.fixture(scope="module")
def template(model: ModelPair, sample: Sample) -> Template:
    locator = Locator(model, Options(steps="coarse"))
    marked = [
        *load_targets(sample.reference_labels, sample.label_ids),
        *load_targets(sample.markups),
    ]
    return locator.make_template(locator.embed(read_volume(sample.reference)), marked)


@pytest.fixture(scope="module")
def truth(sample: Sample) -> dict[str, Target]:
    return {t.name: t for t in load_targets(sample.query_labels, sample.label_ids)}


def located(
    model: ModelPair, sample: Sample, template: Template, options: Options
) -> dict[str, Result]:
    locator = Locator(model, options)
    results = locator.locate(locator.embed(read_volume(sample.query)), template)
    return {result.target: result for result in results}


def off(result: Result, target: Target) -> float:
    assert result.center is not None and target.box is not None
    return float(np.linalg.norm(result.center - target.box.center))


def limits(voted: RadiusSettings | None, aligned: RadiusSettings | None) -> ConfidenceThresholds:
    return replace(ConfidenceThresholds(), radius=voted, aligned=aligned)


def test_organs_are_found_without_a_network_that_knows_them(
    model: ModelPair, sample: Sample, template: Template, truth: dict[str, Target]
) -> None:
    options = Options(steps="coarse", way="alignment")
    found = located(model, sample, template, options)
    votes = located(model, sample, template, replace(options, way="votes"))
    for name, target in truth.items():
        assert off(found[name], target) < 10.0 < off(votes[name], target)
    assert list(found) == list(votes)


def test_a_file_of_the_template_finds_the_same(
    model: ModelPair, sample: Sample, template: Template, tmp_path: Path
) -> None:
    template.write(tmp_path / "t.json")
    again = Template.read(tmp_path / "t.json")
    options = Options(steps="coarse", way="alignment")
    first, second = (located(model, sample, t, options) for t in (template, again))
    for name, result in first.items():
        np.testing.assert_allclose(result.center, second[name].center, atol=0.5)


#: The votes of a random network disagree, and only such limits call that agreement.
WIDE = {"cycle_mm": 1e4, "spread_mm": 1e4, "missing": 1.0, "outside_mm": 1e4}


@pytest.mark.parametrize(
    ("more", "voted", "aligned", "used"),
    [
        # Votes that disagree leave it to the alignment.
        ({}, UNSURE, SURE, True),
        ({}, SURE, UNSURE, True),
        # A card that does not tell the radius of both: as if there were no alignment.
        ({}, UNSURE, None, False),
        ({}, None, SURE, False),
        # Of votes that agree and are in doubt, and alignment, the surer one counts.
        (WIDE, UNSURE, SURE, True),
        (WIDE, HOPELESS, UNSURE, True),
        (WIDE, UNSURE, HOPELESS, False),
        # Votes that nothing speaks against are not asked about.
        (WIDE, SURE, SURE, False),
    ],
)
def test_alignment_counts_where_votes_disagree_or_it_is_surer(
    model: ModelPair,
    sample: Sample,
    template: Template,
    truth: dict[str, Target],
    more: dict[str, float],
    voted: RadiusSettings | None,
    aligned: RadiusSettings | None,
    used: bool,
) -> None:
    chosen = replace(limits(voted, aligned), **more)
    found = located(model, sample, template, Options(steps="coarse", confidence=chosen))
    assert all((off(found[name], target) < 10.0) == used for name, target in truth.items())


def test_a_template_without_sketches_is_sought_by_votes(
    model: ModelPair, sample: Sample, template: Template
) -> None:
    older = replace(template, sketches={})
    options = Options(steps="coarse", confidence=limits(UNSURE, SURE))
    votes = located(model, sample, template, replace(options, way="votes"))
    for name, result in located(model, sample, older, options).items():
        np.testing.assert_array_equal(result.center, votes[name].center)


def test_a_damaged_sketch_is_refused(model: ModelPair, sample: Sample, template: Template) -> None:
    (name, sketch), *_ = template.sketches.items()
    damaged = replace(template, sketches={name: {**sketch, "shape": [1, 2, 3]}})
    with pytest.raises(TemplateError, match="damaged"):
        located(model, sample, damaged, Options(steps="coarse", way="alignment"))


def test_examples_may_lie_in_another_sketch_than_their_references(
    model: ModelPair, sample: Sample, template: Template, tmp_path: Path
) -> None:
    (name, sketch), *_ = template.sketches.items()
    targets = tuple(
        replace(t, examples=tuple(replace(e, sketch="mean") for e in t.examples))
        for t in template.targets
    )
    moved = replace(template, targets=targets, sketches={"mean": sketch})
    moved.write(tmp_path / "t.json")
    options = Options(steps="coarse", way="alignment")
    expected = located(model, sample, template, options)
    for name, result in located(model, sample, Template.read(tmp_path / "t.json"), options).items():
        np.testing.assert_allclose(result.center, expected[name].center, atol=0.5)


def test_pooled_references_keep_their_sketches(
    model: ModelPair, sample: Sample, template: Template
) -> None:
    locator = Locator(model, Options(steps="coarse"))
    other = locator.make_template(
        locator.embed(read_volume(sample.query)),
        load_targets(sample.query_labels, sample.label_ids),
    )
    both = template.merged(other)
    assert set(both.sketches) == set(template.sketches) | set(other.sketches)
    assert len(json.dumps(both.to_json())) < 2_000_000
