"""One-shot localization.

Embed a volume, make templates from marked references, find their targets in queries.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..alignment.overlap import Overlap
from ..errors import InputError
from ..geometry import Frame, Points
from ..image.volume import Volume
from ..model.field import LatentField
from ..model.loading import ModelPair
from ..model.settings import ConfidenceThresholds, SearchSettings
from ..targets.placement import check_inside
from ..targets.target import Target
from .by_alignment import AlignedTarget, aligned_target, sketches_of
from .confidence import Doubts, cycle_consistency_error, judge, missing_surroundings, with_note
from .embedding import EmbeddedVolume, embed_volume, synchronize
from .estimate import (
    Estimate,
    StackedExamples,
    coarse_estimates,
    fine_estimate,
    plain_estimate,
    stack_examples,
)
from .example import ReferenceFields, make_example
from .result import Result, is_surer, with_notes
from .status import OK
from .steps import COARSE_ROUNDS, Steps
from .template import Template, TemplateTarget
from .voting import Consensus, multi_run_ensemble

Way = Literal["auto", "votes", "alignment"]


@dataclass(frozen=True)
class Options:
    """How targets are sought.

    Attributes:
        runs: None: every body cell votes; K: the paper's K random starts in the body.
        steps: coarse once, twice, three times (Table 2 of the paper), or coarse and fine.
        seed: of the random starts.
        search, confidence: instead of those of the model's card.
        way: by votes, and by alignment of reference and query where votes are in doubt; or by one
            of the two alone.
    """

    runs: int | None = None
    steps: Steps = "fine"
    seed: int = 0
    search: SearchSettings | None = None
    confidence: ConfidenceThresholds | None = None
    way: Way = "auto"

    def __post_init__(self) -> None:
        if self.runs is not None and self.runs < 1:
            raise InputError(f"runs must be at least 1, or all (got {self.runs})")


class Locator:
    """Finds targets in volumes with one model; see ``Options``.

    Example:
        >>> locator = Locator(load_model(find_model(), torch.device("cpu")))        # doctest: +SKIP
        >>> reference = locator.embed(read_volume("reference.nii.gz"))              # doctest: +SKIP
        >>> organs = load_targets("organs.seg.nrrd")                                # doctest: +SKIP
        >>> template = locator.make_template(reference, organs)                     # doctest: +SKIP
        >>> locator.locate(locator.embed(read_volume("query.nii.gz")), template)    # doctest: +SKIP
    """

    def __init__(self, model: ModelPair, options: Options | None = None) -> None:
        self.model = model
        self.options = Options() if options is None else options
        self.search = self.options.search or model.card.search
        self.confidence = self.options.confidence or model.card.confidence
        if self.options.steps == "fine" and model.fine is None:
            raise InputError(f"model {model.card.name} has no fine network: use --steps coarse")

    def embed(self, volume: Volume) -> EmbeddedVolume:
        """Resample the volume and compute its coarse field.

        Raises InputError if there is no body in it.
        """
        return embed_volume(volume, self.model)

    def make_template(
        self,
        embedding: EmbeddedVolume,
        targets: Sequence[Target],
        fields: ReferenceFields | None = None,
    ) -> Template:
        """Make a template of targets marked on the embedded reference.

        Callers show ``embedding.orientation_note``: a reference that does not lie as its file says
        makes a template that finds nothing in other CTs.

        Args:
            embedding: of the reference.
            targets: marked on it.
            fields: those of the embedding, if they are there already; they take most of the time.

        Raises:
            InputError: a target lies outside of the reference.
        """
        check_inside(targets, embedding.geometry)
        with torch.inference_mode():
            fields = ReferenceFields.of(embedding) if fields is None else fields
            entries = tuple(
                TemplateTarget(t.name, t.kind, (make_example(t, embedding, fields),))
                for t in targets
            )
        card, sketches = self.model.card, {embedding.name: embedding.sketch.to_json()}
        return Template(card.identity, card.body_region, entries, sketches)

    def locate(self, embedding: EmbeddedVolume, template: Template) -> list[Result]:
        """Locate every target of the template, in its order.

        None is ``ok`` if the patient seems not to lie as the file says.
        Raises TemplateError if the template belongs to another model. Adds ``locate`` to
        ``embedding.seconds``.
        """
        template.check_model(self.model.card)

        started = time.perf_counter()
        embedded = embedding.seconds.get("embed", 0.0)
        with torch.inference_mode():
            estimates = self._estimates(embedding, template)
            results = [
                self._result(embedding, target, rows, estimate)
                for target, (rows, estimate) in zip(template.targets, estimates, strict=True)
            ]
        results = self._with_alignment(embedding, template, results)
        synchronize(self.model.device)

        # The fine field is computed on the way, and counted as embedding.
        spent = time.perf_counter() - started - (embedding.seconds.get("embed", 0.0) - embedded)
        embedding.seconds["locate"] = embedding.seconds.get("locate", 0.0) + spent
        return results

    def _with_alignment(
        self, embedding: EmbeddedVolume, template: Template, voted: list[Result]
    ) -> list[Result]:
        """The results, some of them by alignment of reference and query where that is surer."""
        way, limits = self.options.way, self.confidence
        if way == "votes" or self.options.runs is not None or not template.sketches:
            return voted
        if way == "auto" and (limits.radius is None or limits.aligned is None):
            return voted
        pairs = list(zip(template.targets, voted, strict=True))
        targets = [t for t, r in pairs if way == "alignment" or r.status != OK]
        sketches = {n: s for n, s in template.sketches.items() if n in sketches_of(targets)}
        maps = embedding.alignments.best(sketches)
        with torch.inference_mode():
            answers = self._aligned(embedding, targets, maps, {r.target: r for r in voted})
        return [
            answers.get(r.target, r)
            if way == "alignment" or is_surer(answers.get(r.target, r), r)
            else r
            for r in voted
        ]

    def _aligned(
        self,
        embedding: EmbeddedVolume,
        targets: Sequence[TemplateTarget],
        maps: dict[str, Overlap],
        voted: dict[str, Result],
    ) -> dict[str, Result]:
        """The answers of alignments, by target; for those that have one."""
        device, context = self.model.device, self.search.context_points
        found = [(t, aligned_target(t, maps, device, context)) for t in targets]
        known = [(t, a) for t, a in found if a is not None]
        if not known:
            return {}
        starts = [a.start for _, a in known]
        fine = self._fine_field(embedding, starts) if self.options.steps == "fine" else None
        answers = {}
        for target, aligned in known:
            estimate = plain_estimate(aligned.rows, aligned.start)
            if fine is not None:
                weight = self._match_weight(target)
                estimate = fine_estimate(fine, aligned.rows, aligned.start, self.search, weight)
            answers[target.name] = self._result(
                embedding, target, aligned.rows, estimate, (aligned, voted[target.name])
            )
        return answers

    def _match_weight(self, target: TemplateTarget) -> float:
        search = self.search
        return search.landmark_match_weight if target.kind == "landmark" else search.match_weight

    def _estimates(
        self, embedding: EmbeddedVolume, template: Template
    ) -> list[tuple[StackedExamples, Estimate]]:
        rows = [
            stack_examples(t, self.model.device, self.search.context_points)
            for t in template.targets
        ]
        if self.options.runs is not None:
            return [
                (r, plain_estimate(r, c))
                for r, c in zip(rows, self._walk(embedding, rows), strict=True)
            ]

        rounds = COARSE_ROUNDS.get(self.options.steps, len(self.search.vote_bandwidths_mm))
        range_mm = self.model.coarse.card.range_mm
        coarse = coarse_estimates(
            embedding.coarse, rows, range_mm, self.search.vote_bandwidths_mm[:rounds]
        )
        if self.options.steps != "fine":
            return [(r, plain_estimate(r, c)) for r, c in zip(rows, coarse, strict=True)]

        fine = self._fine_field(embedding, coarse)
        own = [self._match_weight(t) for t in template.targets]
        return [
            (r, fine_estimate(fine, r, c, self.search, w))
            for r, c, w in zip(rows, coarse, own, strict=True)
        ]

    def _fine_field(self, embedding: EmbeddedVolume, coarse: list[Consensus]) -> LatentField:
        """The fine field around the coarse estimates only.

        Estimates beyond the body do not widen it.
        """
        around = torch.cat([c.position for c in coarse])
        lower, upper = (b.to(around) for b in embedding.body_bounds())
        return embedding.fine(around.maximum(lower).minimum(upper), self.search.fine_margin_mm)

    def _walk(self, embedding: EmbeddedVolume, rows: list[StackedExamples]) -> list[Consensus]:
        """The paper's way: K random starts, moved step by step, for every row."""
        runs = self.options.runs
        assert runs is not None
        generator = torch.Generator().manual_seed(self.options.seed)

        coarse = torch.cat([r.coarse for r in rows])
        steps = [(embedding.coarse, coarse, self.model.coarse.card.range_mm)] * COARSE_ROUNDS.get(
            self.options.steps, 1
        )
        if self.options.steps == "fine" and self.model.fine is not None:
            latents = [r.fine for r in rows if r.fine is not None]
            if len(latents) < len(rows):
                raise InputError(
                    "the template has no fine latents: make it again, or use --steps coarse"
                )
            steps = [
                *steps,
                (embedding.fine(), torch.cat(latents)[:, :3], self.model.fine.card.range_mm),
            ]

        found = multi_run_ensemble(steps, runs, generator)
        counts = [len(r.coarse) for r in rows]
        return [
            Consensus(p, s)
            for p, s in zip(found.position.split(counts), found.spread.split(counts), strict=True)
        ]

    def _result(
        self,
        embedding: EmbeddedVolume,
        target: TemplateTarget,
        rows: StackedExamples,
        estimate: Estimate,
        aligned: tuple[AlignedTarget, Result] | None = None,
    ) -> Result:
        cycle = cycle_consistency_error(
            embedding.coarse,
            estimate.each,
            rows,
            self.model.coarse.card.range_mm,
            self.confidence.cycle_bandwidth_mm,
        )

        points = _numpy(estimate.points)
        center, (lower, upper) = box_centre(points), box_walls(points)

        bounds = embedding.body_bounds()
        missing = missing_surroundings(
            rows.offsets, torch.from_numpy(center), embedding.scan_bounds()
        )
        doubts = Doubts.of(target.kind, estimate, cycle, missing, bounds)
        if aligned is not None:
            alignment, voted = aligned
            doubts = replace(
                doubts,
                likeness=alignment.likeness,
                common_mm=alignment.common_mm,
                votes_apart_mm=_distance(center, voted.center),
            )
        verdict = judge(estimate.coarse_points, bounds, doubts, self.confidence)
        verdict = with_note(verdict, embedding.orientation_note)

        return Result(
            query=embedding.name,
            target=target.name,
            kind=target.kind,
            status=verdict.status,
            reason=with_notes(verdict.reason, (*embedding.notes, *target.notes)),
            center=center,
            size=None if target.kind == "landmark" else upper - lower,
            spread_mm=estimate.spread_mm,
            cycle_mm=cycle,
            radius90_mm=doubts.radius_mm(self.confidence),
            features=doubts.features(),
            model=self.model.card.name,
            similarity=estimate.similarity,
            points=None if target.kind == "landmark" else Points(points, Frame.LPS),
        )


def _distance(first: np.ndarray, second: np.ndarray | None) -> float:
    return 0.0 if second is None else float(np.linalg.norm(first - second))


def box_centre(points: np.ndarray) -> np.ndarray:
    """Centre (3,) of the box through six extreme points (6, 3), or the landmark of (1, 3)."""
    lower, upper = box_walls(points)
    middle: np.ndarray = (lower + upper) / 2
    return middle


def box_walls(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper corner (3,) of the box through extreme points (6, 3), LPS mm.

    The points are Xmin, Ymin, Zmin, Xmax, Ymax, Zmax; a landmark (1, 3) is both of its corners.
    """
    if len(points) == 1:
        return points[0], points[0]
    first, second = np.diag(points[:3]), np.diag(points[3:])
    return np.minimum(first, second), np.maximum(first, second)


def _numpy(values: Tensor) -> np.ndarray:
    found: np.ndarray = values.detach().cpu().numpy().astype(np.float64)
    return found
