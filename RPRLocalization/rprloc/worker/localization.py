"""The methods of the worker that need torch: models, load, templates, locate."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..image.volume import Volume
from ..localization.batch import failed_results, left_out_results
from ..localization.choice import Located, Searched, by_reference, locate_with_best
from ..localization.learning import Learned
from ..localization.locator import Locator, Options
from ..localization.result import Result, with_notes
from ..localization.template import Template
from ..model.card import DEFAULT_MODEL, ModelCard
from ..model.finding import ModelEntry, list_models, models_for
from ..model.loading import ModelPair
from ..targets.markups import clean_name
from .contours import contours_json
from .errors import BadRequestError, CancelledError, explain
from .job import Job, Method
from .parameters import (
    options_of,
    require,
    targets_of,
    template_of,
    volume_of,
    wants_contours,
)
from .session import Session


class SessionMethods:
    """The methods over one ``Session``; each takes a job and returns the fields of its result."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = Session() if session is None else session
        # Beside it, one session per model where several are asked.
        self._others: dict[Path, Session] = {}

    def table(self) -> dict[str, Method]:
        """The methods by the names that the protocol gives them."""
        return {
            "models": self.models,
            "load": self.load,
            "template.make": self.template_make,
            "template.merge": self.template_merge,
            "locate": self.locate,
        }

    def models(self, job: Job) -> dict[str, Any]:
        """All models found, with what is wrong with those that cannot be used."""
        folders = job.params.get("folders", [])
        if not isinstance(folders, list) or not all(
            isinstance(folder, str) and folder for folder in folders
        ):
            raise BadRequestError("'folders' must be a list of paths")
        entries = list_models([Path(folder) for folder in folders])
        return {"models": [entry_json(entry) for entry in entries], "default": DEFAULT_MODEL}

    def load(self, job: Job) -> dict[str, Any]:
        """Load a model, so that what follows does not wait for it."""
        opened = self._open_all(job, _model_folders(job), try_again=True)
        model = opened[0].model
        return {"card": card_json(model.card), "device": str(model.device)}

    def template_make(self, job: Job) -> dict[str, Any]:
        """The template of targets on a reference, and the targets that cannot be learned."""
        members = self._learned(job)
        first = members[0]
        answer: dict[str, Any] = {"template": first.template.to_json()}
        if members[1:]:
            answer["alternatives"] = [member.template.to_json() for member in members[1:]]
        if first.learned.left_out:
            answer["left_out"] = [asdict(target) for target in first.learned.left_out]
        return answer

    def template_merge(self, job: Job) -> dict[str, Any]:
        """Several templates of one model as one; equal target names are pooled (few-shot)."""
        parts = require(job.params, "templates", list, "a list of templates")
        if not parts:
            raise BadRequestError("'templates' must hold at least one template")
        templates = [template_of(part) for part in parts]
        merged = templates[0]
        for template in templates[1:]:
            merged = merged.merged(template)
        return {"template": merged.to_json()}

    def locate(self, job: Job) -> dict[str, Any]:
        """Locate all targets in all queries; every query is answered by one ``partial``."""
        # Everything that can be refused at once comes before the first query.
        options, queries = options_of(job.params.get("options")), queries_of(job.params)
        if wants_contours(job.params) and (options.steps != "fine" or options.runs is not None):
            raise BadRequestError("contours need steps fine and runs null")
        started = time.perf_counter()
        members = [replace(member, options=options) for member in self._members(job)]
        for member in members:
            model = member.opened.model
            Locator(model, options)  # refuses options that do not fit the model
            member.template.check_model(model.card)

        failed = _Run(job, members).all_of(queries)
        spent = time.perf_counter() - started
        device = str(members[0].opened.session.device)
        return {
            "queries": len(queries),
            "failed": failed,
            "seconds": round(spent, 3),
            "device": device,
        }

    def _members(self, job: Job) -> list[_Member]:
        """The models to ask, with what each knows of the targets."""
        if ("template" in job.params) == ("reference" in job.params):
            raise BadRequestError("locate needs either a template, or a reference and targets")
        if "reference" in job.params:
            return self._learned(job)
        more = job.params.get("alternatives", [])
        if not isinstance(more, list):
            raise BadRequestError("'alternatives' must be a list of templates")
        templates = [template_of(part) for part in (job.params["template"], *more)]
        folders = [folder for one in templates for folder in _model_folders(job, one)]
        return [
            _Member(job, opened, Learned(template))
            for opened, template in zip(self._open_all(job, folders), templates, strict=True)
        ]

    def _learned(self, job: Job) -> list[_Member]:
        """The models with what they learned of the reference, the best one first."""
        folders = _model_folders(job)
        volume = volume_of(job.params.get("reference"))
        targets, empty = targets_of(job.params.get("targets"))
        job.check()
        members = []
        for opened in self._open_all(job, folders):
            learned = opened.session.learn(job, volume, targets, wants_contours(job.params))
            learned = replace(learned, left_out=(*learned.left_out, *empty))
            members.append(_Member(job, opened, learned))
        return by_reference(members, volume)

    def _open_all(
        self, job: Job, folders: Sequence[Path], try_again: bool = False
    ) -> list[_Opened]:
        """Each model in a session of its own; a single one in the session that is kept."""
        device = _text(job, "device", "auto")
        if len(folders) == 1:
            return [_open(self.session, job, folders[0], device, try_again)]
        opened = []
        for folder in folders:
            session = self._others.setdefault(folder.resolve(), self.session.another())
            opened.append(_open(session, job, folder, device, try_again))
        return opened


@dataclass(frozen=True, eq=False)
class _Opened:
    """A model that is loaded, and its session."""

    session: Session
    model: ModelPair


@dataclass(frozen=True, eq=False)
class _Member:
    """One model of a run: a ``Searcher`` that goes on with the CPU if its GPU fails."""

    job: Job
    opened: _Opened
    learned: Learned
    options: Options = field(default_factory=Options)

    @property
    def template(self) -> Template:
        """The targets as the model learned them."""
        return self.learned.template

    def search(self, volume: Volume, template: Template) -> Located:
        """Locate the targets of a template in a volume; raises CancelledError."""

        def work(model: ModelPair) -> Located:
            locator = Locator(model, self.options)
            self.job.check()
            embedding = locator.embed(volume)
            self.job.check()
            results = locator.locate(embedding, template)
            images = {**self.opened.session.images, **self.learned.images}
            searched = Searched(locator, embedding, template, images)
            return Located(results, embedding.seconds, (searched,))

        return self.opened.session.on_device(self.job, work)


def _open(session: Session, job: Job, folder: Path, device: str, try_again: bool) -> _Opened:
    return _Opened(session, session.open(job, str(folder), device, try_again))


def _model_folders(job: Job, template: Template | None = None) -> list[Path]:
    """The models that a request names, for a reference or for a template."""
    identity = None if template is None else template.model
    return models_for(_text(job, "model", DEFAULT_MODEL), identity)


def _text(job: Job, name: str, default: str) -> str:
    """A text that may be left out; raises BadRequestError."""
    value = job.params.get(name, default)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadRequestError(f"{name!r} must be a text")
    return value


class _Run:
    """One ``locate`` request: its queries one after the other."""

    def __init__(self, job: Job, members: Sequence[_Member]) -> None:
        self.job, self.members = job, members
        learned = members[0].learned
        self.template, self.left_out = learned.template, learned.left_out
        self._state = ""

    def all_of(self, queries: list[tuple[str, dict[str, Any]]]) -> int:
        """Answer every query; returns how many failed. Raises CancelledError."""
        failed, total, started = 0, len(queries), time.perf_counter()

        for done, (key, data) in enumerate(queries):
            self._state = f"{done} of {total} volumes are done"
            self.job.check(self._state)
            left = (time.perf_counter() - started) / done * (total - done) if done else None
            shown = data.get("name") or Path(str(data.get("path", key))).name
            self.job.progress("query", f"searching {shown}", done, total, left)
            failed += not self._one(key, data)

        self.job.progress("query", "done", total, total, 0.0)
        return failed

    def _one(self, key: str, data: dict[str, Any]) -> bool:
        """Send the answer for one query: its results, or rows with the reason.

        Returns True if it did not fail; raises CancelledError.
        """
        name, started = clean_name(data.get("name")) or key, time.perf_counter()
        contours: dict[str, Any] = {}
        notes: tuple[str, ...] = ()
        try:
            volume = volume_of(data)
            name, notes = volume.name, volume.notes
            self.job.check(self._state)
            located = locate_with_best(self.members, volume)
            results, problem = located.results, ""
            if wants_contours(self.job.params):
                results, contours = contours_json(self.job, name, located)
        except CancelledError:
            raise
        except Exception as error:
            code, problem = explain(error)
            if code == "internal":
                traceback.print_exc(file=sys.stderr)
            problem = with_notes(problem, notes)
            results = failed_results(self.template, name, problem)
        results += left_out_results(self.left_out, name)
        seconds = round(time.perf_counter() - started, 3)
        rows = [row_json(result) for result in results]
        told = {"key": key, "name": name, "results": rows, "seconds": seconds}
        self.job.partial(**told, problem=problem, **contours)
        return not problem


def queries_of(params: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Key and VOLUME object of every query; raises BadRequestError.

    What is wrong with a volume shows when its turn comes, and costs that query only.
    """
    pairs = []
    for entry in require(params, "queries", list, "a list of queries"):
        key = entry.get("key") if isinstance(entry, dict) else None
        volume = entry.get("volume") if isinstance(entry, dict) else None
        if not isinstance(key, str) or not isinstance(volume, dict):
            raise BadRequestError('a query is {"key": text, "volume": {...}}')
        pairs.append((key, volume))
    if not pairs or len({key for key, _ in pairs}) != len(pairs):
        raise BadRequestError("queries are missing, or two have the same key")
    return pairs


def row_json(result: Result) -> dict[str, Any]:
    """A result as JSON: LPS mm; None where there is no number."""

    def listed(values: Any) -> Any:
        return None if values is None else values.tolist()

    return {
        "query": result.query,
        "target": result.target,
        "kind": result.kind,
        "status": result.status,
        "reason": result.reason,
        "center": listed(result.center),
        "size": listed(result.size),
        "spread_mm": result.spread_mm,
        "cycle_mm": result.cycle_mm,
        "radius90_mm": result.radius90_mm,
        "model": result.model,
        "points": None if result.points is None else listed(result.points.xyz),
    }


def card_json(card: ModelCard) -> dict[str, Any]:
    """What a user wants to know of a model."""
    return {
        "name": card.name,
        "version": card.version,
        "body_region": card.body_region,
        "identity": card.identity,
        "has_fine": card.fine is not None,
        "data": str(card.training.get("source", "")),
        "licence": str(card.training.get("licence", "")),
    }


def entry_json(entry: ModelEntry) -> dict[str, Any]:
    """A line of the list of models; ``card`` is null where ``problem`` says why."""
    card = None if entry.card is None else card_json(entry.card)
    return {
        "folder": str(entry.folder),
        "title": entry.folder.name,
        "card": card,
        "problem": entry.problem,
    }
