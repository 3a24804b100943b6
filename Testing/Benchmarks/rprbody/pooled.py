"""Answers from several references together: what a library of templates gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

from rprloc.errors import RprLocError
from rprloc.localization.template import Template

from .cases import Case
from .measuring import Row, row_of
from .methods import Ours

#: In rows, what stands for the references.
POOLED = "pooled"
#: With fewer references for any target there is nothing to pool.
LEAST_REFERENCES = 2


def pooled_rows(method: Ours, references: Sequence[Case], queries: Sequence[Case]) -> Iterator[Row]:
    """Every query, with the templates of all other references pooled.

    Targets of a single reference are left out: these are the other rows.
    """
    for query in queries:
        template, names = _pooled(method, references, query)
        if template is not None:
            yield from _rows(method, template, query, names)


def library_rows(method: Ours, library: Path, queries: Sequence[Case]) -> Iterator[Row]:
    """Every query with a template file, which must not have been made of it.

    Raises TemplateError if the file is none, or of another model.
    """
    template = Template.read(library)
    for query in queries:
        names = [t.name for t in template.targets if t.name in query.targets]
        yield from _rows(method, template, query, names)


def _rows(method: Ours, template: Template, query: Case, names: Sequence[str]) -> Iterator[Row]:
    if not names:
        return
    try:
        found = method.find(template, method.encode(query.read()), names)
    except RprLocError as error:
        print(f"{query.name}: {error}", flush=True)
        return
    pool = Case(POOLED, query.image, dict)
    yield from (row_of(pool, query, name, found[name]) for name in names)


def _pooled(
    method: Ours, references: Sequence[Case], query: Case
) -> tuple[Template | None, list[str]]:
    """The template of all other references, and its targets of several that the query shows."""
    others = [r for r in references if r.name != query.name and set(r.targets) & set(query.targets)]
    if not others:
        return None, []
    template = reduce(Template.merged, (method.template_of(r) for r in others))
    many = {t.name for t in template.targets if len(t.examples) >= LEAST_REFERENCES}
    return template, [name for name in query.targets if name in many]
