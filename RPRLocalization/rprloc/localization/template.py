"""Templates: targets as data.

A landmark or an organ is a few latents and descriptors, not an image.

A template records the model it was made with and refuses any other; it can pool several references
(few-shot), and it holds no voxel of any patient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TemplateError
from ..files import atomic_write_text, prepare_output_file
from ..model.card import ModelCard
from ..seal import TEMPLATE_FIELDS, broken_seal, sealed
from ..targets.target import Kind

SCHEMA = "rprloc-template"
SCHEMA_VERSION = 1
MAX_BYTES = 200_000_000

Floats = NDArray[np.float32]


def key_points(kind: Kind) -> int:
    """Leading points of an example that make the result.

    1 for a landmark, the 6 extreme points of a box.
    """
    return 1 if kind == "landmark" else 6


@dataclass(frozen=True, eq=False)
class Example:
    """One target as marked on one reference.

    Attributes:
        reference: name of the reference (never a path).
        size_mm: (3,) extent of the box along x, y, z; None for a landmark.
        offsets: (P, 3) x, y, z mm (LPS) of the points from the target's centre; the key points
            first, then context.
        coarse: (P, 3) latents of the coarse network (Eq. 2).
        fine: (P, 3 + D) latents and descriptors of the fine network; None if the model has none.
        notes: what the user should know of the target on this reference.
        center: (3,) LPS mm of the target's centre on the reference; None in older templates.
        sketch: name of the sketch that the centre lies in, where it is not the reference's own but
            that of a mean of many CTs.
    """

    reference: str
    size_mm: Floats | None
    offsets: Floats
    coarse: Floats
    fine: Floats | None
    notes: tuple[str, ...] = ()
    center: Floats | None = None
    sketch: str = ""

    @property
    def sketch_name(self) -> str:
        """Name of the sketch that the centre lies in."""
        return self.sketch or self.reference

    def to_json(self) -> dict[str, Any]:
        """JSON object; latents to 1e-5, descriptors to 1e-3, positions to 0.01 mm."""
        data: dict[str, Any] = {
            "reference": self.reference,
            "offsets_mm": _rounded(self.offsets, 2),
            "coarse": _rounded(self.coarse, 5),
        }
        if self.center is not None:
            data["center_mm"] = _rounded(self.center, 2)
        if self.size_mm is not None:
            data["size_mm"] = _rounded(self.size_mm, 2)
        if self.fine is not None:
            data["fine"] = _rounded(self.fine[:, :3], 5)
            data["descriptors"] = _rounded(self.fine[:, 3:], 3)
        if self.notes:
            data["notes"] = list(self.notes)
        if self.sketch:
            data["sketch"] = self.sketch
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], kind: Kind) -> Example:
        """Inverse of ``to_json``; raises ValueError, KeyError or TypeError for anything else."""
        offsets, coarse = _matrix(data["offsets_mm"], 3), _matrix(data["coarse"], 3)
        fine = None
        if "fine" in data:
            fine = np.concatenate(
                [_matrix(data["fine"], 3), _matrix(data["descriptors"], None)], axis=1
            )

        size = _matrix([data["size_mm"]], 3)[0] if "size_mm" in data else None
        count = len(offsets)
        if (
            count < key_points(kind)
            or len(coarse) != count
            or (fine is not None and len(fine) != count)
        ):
            raise ValueError("the numbers of points do not agree")
        if (size is None) != (kind == "landmark") or (
            size is not None and (size.shape != (3,) or not (size > 0).all())
        ):
            raise ValueError("size_mm is missing or not three lengths")
        notes = data.get("notes", [])
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise ValueError("the notes are not a list of texts")
        center = _matrix([data["center_mm"]], 3)[0] if "center_mm" in data else None
        reference, sketch = str(data["reference"]), str(data.get("sketch", ""))
        return cls(reference, size, offsets, coarse, fine, tuple(notes), center, sketch)


@dataclass(frozen=True, eq=False)
class TemplateTarget:
    """A named target and its examples, one per reference that shows it."""

    name: str
    kind: Kind
    examples: tuple[Example, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the answers' rows say of the marking; of several references none decides alone."""
        return self.examples[0].notes if len(self.examples) == 1 else ()


@dataclass(frozen=True, eq=False)
class Template:
    """Targets for one model.

    Attributes:
        model: the model's ``ModelCard.identity``.
        body_region: of the model.
        targets: what is sought.
        sketches: by name of the reference (or of a mean of many CTs that examples relate to), its
            ``Sketch`` as JSON; older templates have none.
    """

    model: dict[str, str]
    body_region: str
    targets: tuple[TemplateTarget, ...]
    sketches: Mapping[str, Any] = field(default_factory=dict)

    def check_model(self, card: ModelCard) -> None:
        """Raise TemplateError if the template was made with another model than ``card``'s."""
        if self.model != card.identity:
            made = f"{self.model.get('name', '?')} {self.model.get('version', '?')}"
            raise TemplateError(
                f"the template belongs to model {made}, not to {card.name} {card.version} with "
                "these network files; "
                "make it again with this model, or choose its own with --model"
            )

    def merged(self, other: Template) -> Template:
        """Both templates' targets; the examples of targets of the same name are pooled (few-shot).

        Raises TemplateError if the models differ, a name is a landmark in one and a box in the
        other, or a reference is already in.
        """
        if self.model != other.model:
            raise TemplateError("templates of two different models cannot be pooled")
        targets = {t.name: t for t in self.targets}
        for target in other.targets:
            known = targets.get(target.name)
            targets[target.name] = target if known is None else _pooled(known, target)
        sketches = {**self.sketches, **other.sketches}
        return replace(self, targets=tuple(targets.values()), sketches=sketches)

    def to_json(self) -> dict[str, Any]:
        """The content of a template file."""
        data = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "body_region": self.body_region,
            "coordinate_system": "LPS",
            "targets": [
                {"name": t.name, "kind": t.kind, "examples": [e.to_json() for e in t.examples]}
                for t in self.targets
            ],
        }
        return {**data, "sketches": dict(self.sketches)} if self.sketches else data

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the file atomically.

        Raises OutputError if it exists (without ``overwrite``) or cannot be written.
        """
        file = prepare_output_file(path, overwrite)
        data = sealed(self.to_json())
        atomic_write_text(file, json.dumps(data, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Template:
        """Read a template file.

        Raises TemplateError with one line if it is missing, damaged or of another version.
        """
        data = _load(Path(path))
        template = cls.from_json(data, str(path))
        problem = broken_seal(data, TEMPLATE_FIELDS)
        if problem:
            raise TemplateError(f"{path}: {problem}")
        return template

    @classmethod
    def from_json(cls, data: Any, where: str) -> Template:
        """Inverse of ``to_json``.

        Raises TemplateError, its line beginning with ``where``, for anything else.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise TemplateError(f"{where}: this is not an RPRLoc template")
        if data.get("schema_version") != SCHEMA_VERSION:
            found = data.get("schema_version")
            raise TemplateError(
                f"{where}: template version {found} is not supported (needs {SCHEMA_VERSION})"
            )
        return _parse(data, where)


def _pooled(known: TemplateTarget, more: TemplateTarget) -> TemplateTarget:
    if known.kind != more.kind:
        raise TemplateError(
            f"target {known.name!r} is a {known.kind} in one template and a {more.kind} in the "
            "other"
        )

    names = {e.reference for e in known.examples}
    for example in more.examples:
        if example.reference in names:
            raise TemplateError(
                f"reference {example.reference!r} is already in the template for {known.name!r}"
            )
    return replace(known, examples=known.examples + more.examples)


def _rounded(values: Floats, digits: int) -> list[Any]:
    rounded: list[Any] = np.round(values.astype(np.float64), digits).tolist()
    return rounded


def _matrix(data: Any, columns: int | None) -> Floats:
    # What single precision cannot hold becomes infinite, and is refused with the rest.
    with np.errstate(over="ignore"):
        matrix = np.asarray(data, dtype=np.float32)
    if (
        matrix.ndim != 2
        or (columns is not None and matrix.shape[1] != columns)
        or not np.isfinite(matrix).all()
    ):
        raise ValueError("a matrix of finite numbers was expected")
    return matrix


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TemplateError(f"{path}: too large to be a template")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "not valid JSON"
        raise TemplateError(f"{path}: the template cannot be read ({reason})") from error


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _parse(data: dict[str, Any], where: str) -> Template:
    try:
        targets = []
        for entry in data["targets"]:
            kind = entry["kind"]
            if kind not in ("landmark", "box"):
                raise ValueError(f"kind {kind!r}")
            examples = tuple(Example.from_json(e, kind) for e in entry["examples"])
            if not examples:
                raise ValueError(f"target {entry['name']!r} has no example")
            targets.append(TemplateTarget(str(entry["name"]), kind, examples))

        model = {str(k): str(v) for k, v in data["model"].items()}
        names = [t.name for t in targets]
        if not targets or len(set(names)) != len(names):
            raise ValueError("targets are missing, or named twice")
        sketches = data.get("sketches", {})
        if not isinstance(sketches, dict):
            raise ValueError("the sketches are no object")
        return Template(model, str(data["body_region"]), tuple(targets), sketches)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TemplateError(f"{where}: the template is damaged ({error})") from error
