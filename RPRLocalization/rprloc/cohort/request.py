"""What is asked of a cohort: templates with their models, how to search, and what to write.

Every answer has a content key: of the series' headers, the template, the model and the options. The
same key is never computed twice, and whatever changes makes another key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import __version__
from ..errors import InputError
from ..localization.steps import Steps
from .index_rows import IndexRow

#: Changes when what is written for the same question changes.
_SCHEMA = 1
_KEY_DIGITS = 12
#: Templates of one task; the keys of all stand in the name of its part.
_MOST_TOGETHER = 12


@dataclass(frozen=True)
class TemplateChoice:
    """One template, and the model that it belongs to.

    Attributes:
        name: under which its rows are found.
        path: of the template file, digest: its SHA-256.
        model: folder of the model. identity: of the model, as sorted pairs.
    """

    name: str
    path: Path
    digest: str
    model: Path
    identity: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SearchOptions:
    """How targets are sought: as ``localization.locator.Options``."""

    runs: int | None = None
    steps: Steps = "fine"
    seed: int = 0


@dataclass(frozen=True)
class Extras:
    """What is written beside the table, into ``<out>/series/<series_id>``."""

    markups: bool = False
    pictures: bool = False
    dicom_sr: bool = False
    rtstruct: bool = False

    @property
    def names(self) -> list[str]:
        """Return what is asked for, by name."""
        return [name for name, asked in asdict(self).items() if asked]


@dataclass(frozen=True)
class WorkerOptions:
    """What bounds a task.

    Attributes:
        device: for the networks. threads: of one worker.
        timeout_s: after so many seconds a task counts as hung, and its worker is ended.
    """

    device: str = "cpu"
    threads: int = 1
    timeout_s: float = 600.0


@dataclass(frozen=True)
class SeriesTask:
    """The work of one task: one series, and the templates that have not been sought in it.

    Attributes:
        root: that the paths of the index begin at. row: of the index.
        templates: with the content key of each.
        out: folder of the results. attempt: 1, or 2 after a failure.
        located: whether the answers are there, and only files beside the table are missing.
    """

    root: Path
    row: IndexRow
    templates: tuple[tuple[str, TemplateChoice], ...]
    search: SearchOptions
    extras: Extras
    worker: WorkerOptions
    out: Path
    attempt: int = 1
    located: bool = False

    @property
    def keys(self) -> list[str]:
        """Return the content keys of its answers."""
        return [key for key, _ in self.templates]


def content_key(row: IndexRow, template: TemplateChoice, search: SearchOptions) -> str:
    """Return the key of one series and template: equal if and only if the answer would be."""
    question = [
        *(_SCHEMA, __version__, row.series_id, row.fingerprint),
        *(template.digest, template.name, template.identity, asdict(search)),
    ]
    text = json.dumps(question, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def together(
    wanted: Sequence[tuple[str, TemplateChoice]],
) -> Iterator[tuple[tuple[str, TemplateChoice], ...]]:
    """Yield templates in groups that one task takes."""
    for start in range(0, len(wanted), _MOST_TOGETHER):
        yield tuple(wanted[start : start + _MOST_TOGETHER])


def choose_templates(paths: Sequence[Path], model: str | None) -> list[TemplateChoice]:
    """Read the templates, and find the model of each.

    model: folder or name for all; None or ``auto`` for the one that each was made with. Raises
    TemplateError, ModelError, or InputError for two templates of one name.
    """
    from ..formats.reading import stem_of
    from ..localization.template import Template
    from ..model.card import read_card
    from ..model.finding import file_sha256, models_for

    choices: dict[str, TemplateChoice] = {}
    for path in paths:
        template = Template.read(path)
        folder = models_for(model, template.model)[0]
        card = read_card(folder)
        template.check_model(card)
        name = stem_of(path).removesuffix(".json")
        if name in choices:
            raise InputError(f"{path}: another template is called {name} too: rename one of them")
        identity = tuple(sorted(card.identity.items()))
        choices[name] = TemplateChoice(
            name, path.resolve(), file_sha256(path), folder.resolve(), identity
        )
    return list(choices.values())
