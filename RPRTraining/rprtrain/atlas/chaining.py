"""All CTs in one space, whatever parts of the body they show, through those that overlap.

Head and pelvis are never seen together, but every CT overlaps with others, and these with others
again. Pairs that look alike are registered (``overlap``), and the places of all CTs are solved for
at once. Maps that contradict the others lose their weight: a wrong one cannot agree with the way
round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rprloc.alignment.overlap import Overlap, find_overlap, fit_affine
from rprloc.alignment.sketch import Sketch

from ..data.dataset import TrainingVolume
from ..random_stream import RandomStream
from .placement import Affine

Report = Callable[[str], None]

# All pairs of the tallest CTs are compared; every other one with the tallest and some at random.
CORE, TALLEST, AT_RANDOM = 60, 12, 12
# So many of the best comparisons of a CT are registered.
PARTNERS = 6
# So many more tie a group of CTs to the others, so that wrong ones among them contradict the rest.
BRIDGES = 24
# Scores of comparisons and registrations that are worth trying, and keeping.
LEAST_SHIFT_SCORE, LEAST_SCORE = 0.15, 0.35
# Points of the common part at which two places must agree.
LINK_POINTS = 24
# Disagreement at which a link counts a quarter; from the first round of weighting to the last.
DOUBT_MM = (120.0, 80.0, 50.0, 35.0, 25.0, 20.0, 20.0, 20.0)
# Several poor likenesses, which may all be of one wrong place, do not outvote a good one.
TRUST = 3
# A CT with no link that disagrees less than this has no place.
BELIEVED_MM = 30.0
# How strongly the linear parts are held to identity, each and in the mean, relative to one link.
RIDGE, MEAN_RIDGE = 0.02, 10.0
SCALE_MM = 100.0


@dataclass(frozen=True)
class Link:
    """Two CTs that overlap, and how.

    Attributes:
        first, second: indices of the CTs.
        points: (n, 3) mm in the first. images: (n, 3) mm, the same anatomy in the second.
        score: of the registration.
    """

    first: int
    second: int
    points: Tensor
    images: Tensor
    score: float


def chain(volumes: Sequence[TrainingVolume], report: Report = print) -> dict[str, Affine]:
    """Affine maps from one common space to each CT that hangs together with the others.

    The order of the CTs does not matter, and none of them is the model of the others: the space has
    the mean size and shape of all.
    """
    ordered = sorted(volumes, key=lambda v: (-v.hu.shape[0], v.name))
    sketches = [sketch_of(v) for v in ordered]
    links = find_links(sketches, report)
    places, disagreement = solve_places(sketches, links)
    kept = _hang_together(len(sketches), links, disagreement)
    report(f"atlas: {len(kept)} of {len(sketches)} CTs hang together by {len(links)} overlaps")
    return {sketches[n].name: places[n] for n in sorted(kept)}


def sketch_of(volume: TrainingVolume) -> Sketch:
    """The sketch of a training CT."""
    return Sketch.of(volume.name, volume.hu, volume.origin, volume.spacing)


def find_links(sketches: Sequence[Sketch], report: Report = print) -> list[Link]:
    """Register the pairs that look alike; ``sketches`` in falling order of height."""
    shifts: dict[tuple[int, int], Overlap] = {}
    for pair in _pairs(sketches):
        found = find_overlap(sketches[pair[0]], sketches[pair[1]])
        if found is not None and found.score > LEAST_SHIFT_SCORE:
            shifts[pair] = found
    report(f"atlas: {len(shifts)} pairs of CTs look alike somewhere")

    links: list[Link] = []
    wanted = _best(shifts, len(sketches))
    while wanted:
        links += _registered(sketches, wanted, shifts)
        shifts = {pair: found for pair, found in shifts.items() if pair not in wanted}
        wanted = _bridges(shifts, _groups(len(sketches), [(k.first, k.second) for k in links]))
    return links


def _registered(
    sketches: Sequence[Sketch],
    pairs: set[tuple[int, int]],
    shifts: Mapping[tuple[int, int], Overlap],
) -> list[Link]:
    """The links of those pairs whose affine registration is believed."""
    links = []
    for first, second in sorted(pairs):
        a, b = sketches[first], sketches[second]
        found = fit_affine(a, b, shifts[first, second])
        if found.score > LEAST_SCORE:
            links.append(_link(first, second, a, b, found))
    return links


def _bridges(
    shifts: Mapping[tuple[int, int], Overlap], groups: Sequence[int]
) -> set[tuple[int, int]]:
    """The best pairs that would tie a group of CTs to the others.

    CTs of one region and maker look so much alike that all their partners are of their own kind.
    """
    mine: dict[int, list[tuple[float, tuple[int, int]]]] = {}
    for (first, second), found in shifts.items():
        if groups[first] != groups[second]:
            for n in (first, second):
                mine.setdefault(groups[n], []).append((found.score, (first, second)))
    return {pair for pairs in mine.values() for _, pair in sorted(pairs, reverse=True)[:BRIDGES]}


def _pairs(sketches: Sequence[Sketch]) -> list[tuple[int, int]]:
    count = len(sketches)
    core = min(CORE, count)
    pairs = [(i, j) for i in range(core) for j in range(i + 1, core)]
    for j in range(core, count):
        rng = RandomStream("chain", sketches[j].name)
        others = [TALLEST + int(n) for n in rng.choose(core - TALLEST, AT_RANDOM)]
        pairs += [(i, j) for i in [*range(TALLEST), *others]]
    return pairs


def _best(shifts: dict[tuple[int, int], Overlap], count: int) -> set[tuple[int, int]]:
    """The best pairs of every CT."""
    mine: list[list[tuple[float, tuple[int, int]]]] = [[] for _ in range(count)]
    for pair, found in shifts.items():
        for n in pair:
            mine[n].append((found.score, pair))
    return {pair for pairs in mine for _, pair in sorted(pairs, reverse=True)[:PARTNERS]}


def _link(first: int, second: int, a: Sketch, b: Sketch, found: Overlap) -> Link:
    """Tissue of the common part, spread by chance."""
    index = torch.nonzero(a.shares.sum(0) > 0.5).float()
    points = a.to_mm(index)
    images = points @ found.matrix.T + found.shift
    z = b.to_index(images)[:, 0]
    common = torch.nonzero((z >= 0) & (z <= b.shape[0] - 1))[:, 0]
    rng = RandomStream("link", a.name, b.name)
    chosen = common[rng.choose(len(common), LINK_POINTS).to(common.device)]
    return Link(first, second, points[chosen], images[chosen], found.score)


def solve_places(
    sketches: Sequence[Sketch], links: Sequence[Link]
) -> tuple[list[Affine], list[float]]:
    """The places of all CTs by reweighted least squares.

    Unknown are the maps from each CT to the common space; a link asks that a point and its image
    get to the same place.

    Returns:
        Affine maps from the common space to each CT, and the disagreement of each link in mm (root
        mean square).
    """
    middles = [s.to_mm((s.cells().reshape(-1, 3)).mean(0)).double() for s in sketches]
    rows = [(_rows(k.points, middles[k.first]), _rows(k.images, middles[k.second])) for k in links]
    disagreement = [0.0] * len(links)
    solution = torch.zeros((4 * len(sketches), 3), dtype=torch.float64)
    for doubt in DOUBT_MM:
        weights = [
            k.score**TRUST / (1.0 + (d / doubt) ** 2) ** 2
            for k, d in zip(links, disagreement, strict=True)
        ]
        solution = _least_squares(len(sketches), links, rows, weights)
        parts = solution.reshape(-1, 4, 3)
        disagreement = [
            float((a @ parts[k.first] - b @ parts[k.second]).square().sum(1).mean().sqrt())
            for k, (a, b) in zip(links, rows, strict=True)
        ]

    places = []
    for part, middle in zip(solution.reshape(-1, 4, 3), middles, strict=True):
        linear = part[:3].T / SCALE_MM
        matrix = torch.linalg.inv(linear)
        places.append((matrix.float(), (middle - matrix @ part[3]).float()))
    return places, disagreement


def _rows(points: Tensor, middle: Tensor) -> Tensor:
    """(n, 4) what the unknowns of a CT are multiplied by to carry its points."""
    near = (points.double().cpu() - middle.cpu()) / SCALE_MM
    return torch.cat([near, torch.ones((len(near), 1), dtype=near.dtype)], 1)


def _least_squares(
    count: int,
    links: Sequence[Link],
    rows: Sequence[tuple[Tensor, Tensor]],
    weights: Sequence[float],
) -> Tensor:
    """(4 count, 3): per CT its transposed linear part, times ``SCALE_MM``, and its middle."""
    normal = torch.zeros((4 * count, 4 * count), dtype=torch.float64)
    right = torch.zeros((4 * count, 3), dtype=torch.float64)
    for link, (a, b), weight in zip(links, rows, weights, strict=True):
        both = torch.cat([a, -b], 1) * (weight / len(a)) ** 0.5
        at = torch.cat([torch.arange(4) + 4 * link.first, torch.arange(4) + 4 * link.second])
        normal[at[:, None], at[None]] += both.T @ both

    # Without these, all linear parts could shrink together, and all CTs move together.
    for axis in range(3):
        at = torch.arange(count) * 4 + axis
        normal[at, at] += RIDGE
        normal[at[:, None], at[None]] += MEAN_RIDGE / count
        right[at, axis] += (RIDGE + MEAN_RIDGE) * SCALE_MM
    at = torch.arange(count) * 4 + 3
    normal[at, at] += 1e-9
    normal[at[:, None], at[None]] += 1.0 / count**2
    solution: Tensor = torch.linalg.solve(normal, right)
    return solution


def _hang_together(count: int, links: Sequence[Link], disagreement: Sequence[float]) -> set[int]:
    """The largest set of CTs that believed links connect."""
    believed = [
        (link.first, link.second)
        for link, mm in zip(links, disagreement, strict=True)
        if mm < BELIEVED_MM
    ]
    roots = _groups(count, believed)
    largest = max(set(roots), key=lambda r: (roots.count(r), -r)) if roots else -1
    return {n for n in range(count) if roots[n] == largest}


def _groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The group of each of ``count`` CTs that pairs connect, named by one of its members."""
    group = list(range(count))

    def root(n: int) -> int:
        while group[n] != n:
            n = group[n]
        return n

    for first, second in pairs:
        group[root(second)] = root(first)
    return [root(n) for n in range(count)]
