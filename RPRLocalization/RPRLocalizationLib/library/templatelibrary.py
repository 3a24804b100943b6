"""The template library: bundled templates and the user's own, as files.

No torch: the worker validates latents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from rprloc.errors import InputError, OutputError, TemplateError
from rprloc.files import atomic_write_text, output_errors, remove_file, safe_name
from rprloc.seal import TEMPLATE_FIELDS, broken_seal, sealed, unsealed

BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Templates"
SUFFIX = ".json"
MAX_BYTES = 200_000_000
_BUNDLED_PREFIX, _USER_PREFIX = "bundled/", "user/"


@dataclass(frozen=True)
class TemplateTargetInfo:
    """A target of a template: its name, kind (landmark or box), and the names of its references."""

    name: str
    kind: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class TemplateInfo:
    """A template in short.

    ``key`` is stable: it is saved with scenes; ``model``: identity of the model it needs.
    """

    key: str
    path: Path
    title: str
    bodyRegion: str
    model: dict[str, str]
    targets: tuple[TemplateTargetInfo, ...]

    @property
    def bundled(self) -> bool:
        """True if it came with the extension and cannot be changed."""
        return self.key.startswith(_BUNDLED_PREFIX)


class TemplateLibrary:
    """Lists, saves, renames, deletes, imports and exports templates.

    ``userFolder`` is made when first needed.
    """

    def __init__(self, userFolder: Path, bundledFolder: Path = BUNDLED) -> None:
        self.userFolder = userFolder
        self.bundledFolder = bundledFolder
        self._known: dict[Path, tuple[tuple[float, int], TemplateInfo]] = {}

    def templates(self) -> list[TemplateInfo]:
        """All readable templates by body region, bundled ones first.

        Damaged files are left out (see ``damaged``).
        """
        found = [self._tried(path, prefix) for path, prefix in self._files()]
        known = [info for info in found if info is not None]
        return sorted(
            known, key=lambda t: (t.bodyRegion.casefold(), not t.bundled, t.title.casefold())
        )

    def damaged(self) -> list[Path]:
        """Files in the library that are no templates."""
        return [path for path, prefix in self._files() if self._tried(path, prefix) is None]

    def find(self, key: str) -> TemplateInfo | None:
        """The template with this key; None if it is gone."""
        return next((info for info in self.templates() if info.key == key), None)

    def content(self, info: TemplateInfo, unused: Any = ()) -> dict[str, Any]:
        """The template's JSON object without the targets called ``unused``.

        Raises TemplateError.
        """
        data = readTemplate(info.path)
        data["targets"] = [
            target for target in data["targets"] if target["name"] not in set(unused)
        ]
        return data

    def save(self, data: dict[str, Any], title: str) -> TemplateInfo:
        """Add a template to the user's library.

        Raises InputError for a title in use, OutputError.
        """
        path = self._newPath(title)
        self._write(path, data)
        return self._info(path, _USER_PREFIX)

    def replace(self, info: TemplateInfo, data: dict[str, Any]) -> TemplateInfo:
        """Exchange the content of a user's template.

        Raises InputError for a bundled one, OutputError.
        """
        self.refuseBundled(info)
        self._write(info.path, data)
        return self._info(info.path, _USER_PREFIX)

    def rename(self, info: TemplateInfo, title: str) -> TemplateInfo:
        """Rename a user's template. Raises InputError (bundled, or title in use), OutputError."""
        self.refuseBundled(info)
        path = self._newPath(title, than=info.path)
        with output_errors(path):
            info.path.rename(path)
        return self._info(path, _USER_PREFIX)

    def delete(self, info: TemplateInfo) -> None:
        """Delete a user's template. Raises InputError (bundled), OutputError."""
        self.refuseBundled(info)
        remove_file(info.path)

    def importFile(self, path: str | Path) -> TemplateInfo:
        """Copy a template file into the library.

        Raises TemplateError, InputError (title in use), OutputError.
        """
        source = Path(path)
        data = readTemplate(source)
        describe(data, "", source)
        return self.save(data, source.name.removesuffix(SUFFIX))

    def exportFile(self, info: TemplateInfo, path: str | Path) -> None:
        """Write a template to a file of the user's choice. Raises TemplateError, OutputError."""
        atomic_write_text(path, _text(readTemplate(info.path)))

    def checkTitle(self, title: str) -> None:
        """Raise InputError for an empty title, or one in use."""
        self._newPath(title)

    def refuseBundled(self, info: TemplateInfo) -> None:
        """Raise InputError if a template cannot be changed."""
        if info.bundled:
            raise InputError(
                _("Templates that came with the extension cannot be changed: save a copy.")
            )

    def _files(self) -> Any:
        for folder, prefix in (
            (self.bundledFolder, _BUNDLED_PREFIX),
            (self.userFolder, _USER_PREFIX),
        ):
            if folder.is_dir():
                yield from (
                    (path, prefix) for path in sorted(folder.glob(f"*{SUFFIX}")) if path.is_file()
                )

    def _tried(self, path: Any, prefix: Any) -> TemplateInfo | None:
        try:
            return self._info(path, prefix)
        except TemplateError:
            return None

    def _info(self, path: Any, prefix: Any) -> TemplateInfo:
        """Described once per version of the file.

        A library of pooled templates may hold many megabytes.
        """
        try:
            state = path.stat()
        except OSError as error:
            raise TemplateError(_("{path}: the template is gone").format(path=path)) from error
        stamp = (state.st_mtime, state.st_size)
        if path not in self._known or self._known[path][0] != stamp:
            self._known[path] = (stamp, describe(readTemplate(path), prefix, path))
        return self._known[path][1]

    def _newPath(self, title: str, than: Path | None = None) -> Path:
        title = " ".join(title.split())
        if not title:
            raise InputError(_("A template needs a name."))
        path = self.userFolder / f"{safe_name(title)}{SUFFIX}"
        if path != than and path.exists():
            raise InputError(_("There is a template called {name} already.").format(name=title))
        return path

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        with output_errors(self.userFolder):
            self.userFolder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, _text(data))


def readTemplate(path: Path) -> dict[str, Any]:
    """The JSON object of a template file, its latents unchecked (the worker does that).

    Raises TemplateError.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TemplateError(_("{path}: too large to be a template").format(path=path))
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TemplateError(_("{path}: the template cannot be read").format(path=path)) from error
    if not isinstance(data, dict) or data.get("schema") != "rprloc-template":
        raise TemplateError(_("{path}: this is not an RPRLoc template").format(path=path))
    problem = broken_seal(data, TEMPLATE_FIELDS)
    if problem:
        raise TemplateError(f"{path}: {problem}")
    return unsealed(data)


def describe(data: dict[str, Any], prefix: str, path: Path) -> TemplateInfo:
    """What the panel shows of a template. Raises TemplateError if a part of it is missing."""
    try:
        targets = tuple(
            TemplateTargetInfo(
                str(t["name"]), str(t["kind"]), tuple(str(e["reference"]) for e in t["examples"])
            )
            for t in data["targets"]
        )
        model = {str(key): str(value) for key, value in data["model"].items()}
        title = path.name.removesuffix(SUFFIX)
        if not targets:
            raise ValueError("no targets")
        return TemplateInfo(
            f"{prefix}{title}", path, title, str(data["body_region"]), model, targets
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TemplateError(_("{path}: the template is damaged").format(path=path)) from error


def _text(data: dict[str, Any]) -> str:
    try:
        return json.dumps(sealed(data), separators=(",", ":"), allow_nan=False) + "\n"
    except ValueError as error:
        raise OutputError(_("The template holds numbers that cannot be saved.")) from error
