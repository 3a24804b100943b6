"""One-shot localization.

Embed a volume, make templates from marked references, find their targets in queries.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

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
    plain_estimate,
    stack_examples,
)
from .example import ReferenceFields, make_example
from .restarts import steadied_estimate
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


@dataclass(frozen=True, eq=False)
class Sought:
    """A target on its way: its examples' points, and where the votes have them."""

    target: TemplateTarget
    rows: StackedExamples
    votes: Consensus


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
            sought = self._sought(embedding, template)
            first = [s for s in sought if self._begins_aligned(embedding, s)]
        aligned = self._aligned(embedding, template, first)
        with torch.inference_mode():
            results = self._results(embedding, sought, aligned)

        if self._may_align("auto"):
            doubted = [
                s
                for s, r in zip(sought, results, strict=True)
                if not (r.status == OK or s in first)
            ]
            again = self._aligned(embedding, template, doubted)
            with torch.inference_mode():
                others = [s for s in doubted if s.target.name in again]
                answers = {r.target: r for r in self._results(embedding, others, again)}
            results = [_surer(answers.get(r.target), r) for r in results]
        synchronize(self.model.device)

        # The fine field is computed on the way, and counted as embedding.
        spent = time.perf_counter() - started - (embedding.seconds.get("embed", 0.0) - embedded)
        embedding.seconds["locate"] = embedding.seconds.get("locate", 0.0) + spent
        return results

    def _may_align(self, way: Way) -> bool:
        """True if this is the way, and the model can say how sure an aligned answer is."""
        limits = self.confidence
        known = limits.radius is not None and limits.aligned is not None
        wanted = self.options.way == way and self.options.runs is None
        return wanted and (known or way == "alignment")

    def _begins_aligned(self, embedding: EmbeddedVolume, sought: Sought) -> bool:
        """True if the alignment is asked before the fine network: always, or as votes disagree."""
        if not self._may_align("auto"):
            return self._may_align("alignment")
        votes, limits = plain_estimate(sought.rows, sought.votes), self.confidence
        cycle = self._cycle_mm(embedding, sought.rows, votes.each)
        return votes.spread_mm > limits.spread_mm or cycle > limits.cycle_mm

    def _aligned(
        self, embedding: EmbeddedVolume, template: Template, sought: Sequence[Sought]
    ) -> dict[str, AlignedTarget]:
        """Where alignments of references and query put targets, by name; not in inference mode."""
        wanted = sketches_of([s.target for s in sought])
        sketches = {name: s for name, s in template.sketches.items() if name in wanted}
        if not sketches:
            return {}
        maps = embedding.alignments.best(sketches)
        device, context = self.model.device, self.search.context_points
        with torch.inference_mode():
            found = {s.target.name: aligned_target(s.target, maps, device, context) for s in sought}
        return {name: target for name, target in found.items() if target is not None}

    def _results(
        self,
        embedding: EmbeddedVolume,
        sought: Sequence[Sought],
        aligned: Mapping[str, AlignedTarget],
    ) -> list[Result]:
        """The answers of the fine network, which begins with the alignment where there is one."""
        starts = [
            (a.rows, a.start) if (a := aligned.get(s.target.name)) else (s.rows, s.votes)
            for s in sought
        ]
        if not starts or self.options.steps != "fine" or self.options.runs is not None:
            estimates = [plain_estimate(rows, start) for rows, start in starts]
        else:
            fine = self._fine_field(embedding, [start for _, start in starts])
            estimates = [
                steadied_estimate(fine, rows, start, self.search, self._match_weight(s.target))
                for s, (rows, start) in zip(sought, starts, strict=True)
            ]
        return [
            self._result(embedding, s, estimate, aligned.get(s.target.name))
            for s, estimate in zip(sought, estimates, strict=True)
        ]

    def _match_weight(self, target: TemplateTarget) -> float:
        search = self.search
        return search.landmark_match_weight if target.kind == "landmark" else search.match_weight

    def _sought(self, embedding: EmbeddedVolume, template: Template) -> list[Sought]:
        """Where the votes have every target of the template."""
        rows = [
            stack_examples(t, self.model.device, self.search.context_points)
            for t in template.targets
        ]
        if self.options.runs is not None:
            votes = self._walk(embedding, rows)
        else:
            every = len(self.search.vote_bandwidths_mm)
            rounds = COARSE_ROUNDS.get(self.options.steps, every)
            bandwidths = self.search.vote_bandwidths_mm[:rounds]
            range_mm = self.model.coarse.card.range_mm
            votes = coarse_estimates(embedding.coarse, rows, range_mm, bandwidths)
        return [Sought(*of) for of in zip(template.targets, rows, votes, strict=True)]

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

    def _cycle_mm(self, embedding: EmbeddedVolume, rows: StackedExamples, each: Tensor) -> float:
        range_mm, bandwidth_mm = self.model.coarse.card.range_mm, self.confidence.cycle_bandwidth_mm
        return cycle_consistency_error(embedding.coarse, each, rows, range_mm, bandwidth_mm)

    def _result(
        self,
        embedding: EmbeddedVolume,
        sought: Sought,
        estimate: Estimate,
        aligned: AlignedTarget | None,
    ) -> Result:
        target = sought.target
        rows = sought.rows if aligned is None else aligned.rows
        cycle = self._cycle_mm(embedding, rows, estimate.each)

        points = _numpy(estimate.points)
        center, (lower, upper) = box_centre(points), box_walls(points)

        bounds = embedding.body_bounds()
        missing = missing_surroundings(
            rows.offsets, torch.from_numpy(center), embedding.scan_bounds()
        )
        doubts = Doubts.of(target.kind, estimate, cycle, missing, bounds)
        if aligned is not None:
            voted = box_centre(_numpy(plain_estimate(sought.rows, sought.votes).points))
            doubts = replace(
                doubts,
                likeness=aligned.likeness,
                common_mm=aligned.common_mm,
                votes_apart_mm=float(np.linalg.norm(center - voted)),
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


def _surer(answer: Result | None, known: Result) -> Result:
    return answer if answer is not None and is_surer(answer, known) else known


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
