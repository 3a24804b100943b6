"""Models as one file to pass on, and into the user's model folder.

Checked before anything is written.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ModelError, OutputError
from ..files import output_errors, safe_name
from .card import CARD_NAME, ModelCard, parse_card, read_card
from .finding import PATH_VARIABLE, bytes_sha256, file_sha256, verify_files

MANIFEST = "checksums.json"
MANIFEST_SCHEMA = "rprloc-model-archive"
LARGEST_CARD, LARGEST_NETWORK = 4_000_000, 100_000_000
_DATE = (2020, 1, 1, 0, 0, 0)


class ModelExistsError(OutputError):
    """There is a model of that name already, and nobody has said that it may be replaced."""


def user_model_folder() -> Path:
    """Where models are installed: the first folder of the variable RPRLOC_MODELS.

    Raises OutputError without it.
    """
    chosen = [p for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p]
    if not chosen:
        raise OutputError(
            f"where should the model be installed? Give --into FOLDER, or set {PATH_VARIABLE}"
        )
    return Path(chosen[0])


def install_model(folder: Path, into: Path, overwrite: bool = False) -> Path:
    """Copy the model in ``folder`` into the model folder ``into``; returns its place there.

    Only the card and the networks it names are copied. Raises ModelError if it is damaged,
    OutputError if there is another model of that name (unless ``overwrite``) or it cannot be
    written.
    """
    card = read_card(folder)
    verify_files(folder, card)
    with _place(into, card, overwrite) as (temporary, place):
        for name in [CARD_NAME, *_networks(card)]:
            with output_errors(place):
                shutil.copyfile(folder / name, temporary / name)
        verify_files(temporary, card)
    return place


def export_model(folder: Path, archive: Path, overwrite: bool = False) -> Path:
    """Write the model in ``folder`` as one .zip with checksums of every file.

    The same model gives the same bytes.

    Raises ModelError if the model is damaged, OutputError if the file exists (unless ``overwrite``)
    or cannot be written.
    """
    card = read_card(folder)
    verify_files(folder, card)
    if archive.exists() and not overwrite:
        raise OutputError(f"{archive}: already exists: choose another file, or pass --overwrite")

    names = [CARD_NAME, *_networks(card)]
    files = {name: file_sha256(folder / name) for name in names}
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "schema_version": 1,
        "model": card.identity,
        "files": files,
    }

    temporary = archive.with_name(f".{archive.name}.{os.getpid()}.tmp")
    try:
        with (
            output_errors(archive),
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle,
        ):
            bundle.writestr(zipfile.ZipInfo(MANIFEST, _DATE), json.dumps(manifest, indent=1) + "\n")
            for name in names:
                bundle.writestr(zipfile.ZipInfo(name, _DATE), (folder / name).read_bytes())
        with output_errors(archive):
            os.replace(temporary, archive)
    finally:
        temporary.unlink(missing_ok=True)
    return archive


def import_model(archive: Path, into: Path, overwrite: bool = False) -> Path:
    """Install the model of a .zip that ``export_model`` wrote into the model folder ``into``.

    Returns its place there.

    Nothing is unpacked before it is checked: names, sizes, checksums, the card, and that the
    networks are TorchScript, whose reader runs no code of the file. Raises ModelError for a damaged
    or foreign file, OutputError as ``install_model``.
    """
    try:
        with zipfile.ZipFile(archive) as bundle:
            files = _read_archive(bundle, archive)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ModelError(f"{archive}: not a whole .zip file ({error})") from error
    except OSError as error:
        raise ModelError(f"{archive}: cannot be read ({error.strerror or error})") from error

    card = parse_card(files[CARD_NAME].decode("utf-8", errors="replace"), f"{archive}: {CARD_NAME}")
    if set(files) != {MANIFEST, CARD_NAME, *_networks(card)}:
        raise ModelError(f"{archive}: does not hold the networks that its card names")

    foreign = next((name for name in _networks(card) if not _is_torchscript(files[name])), None)
    if foreign is not None:
        raise ModelError(f"{archive}: {foreign} is not a TorchScript network")
    with _place(into, card, overwrite) as (temporary, place):
        for name in [CARD_NAME, *_networks(card)]:
            with output_errors(place):
                (temporary / name).write_bytes(files[name])
        verify_files(temporary, card)
    return place


def _networks(card: ModelCard) -> list[str]:
    return [stage.file for stage in (card.coarse, card.fine) if stage is not None]


def _read_archive(bundle: zipfile.ZipFile, archive: Path) -> dict[str, bytes]:
    """The files of an archive, within their limits and with the checksums of its manifest.

    Raises ModelError.
    """
    entries = bundle.infolist()
    strange = next((entry.filename for entry in entries if not _plain(entry)), None)
    if strange is not None:
        raise ModelError(f"{archive}: holds {strange[:80]!r}, which is no file of a model")

    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names) or not {MANIFEST, CARD_NAME} <= set(names) or len(names) > 4:
        raise ModelError(f"{archive}: this is not an exported RPRLoc model")

    files: dict[str, bytes] = {}
    for entry in entries:
        limit = LARGEST_NETWORK if entry.filename.endswith(".pt") else LARGEST_CARD
        with bundle.open(entry) as stream:
            files[entry.filename] = stream.read(limit + 1)
        if len(files[entry.filename]) > limit:
            raise ModelError(f"{archive}: {entry.filename} is too large for a model")
    try:
        manifest = json.loads(files[MANIFEST])
        if manifest["schema"] != MANIFEST_SCHEMA:
            raise ValueError("schema")
        wanted = {str(name): str(digest) for name, digest in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{archive}: its list of checksums is damaged") from error

    if wanted != {name: bytes_sha256(data) for name, data in files.items() if name != MANIFEST}:
        raise ModelError(f"{archive}: wrong checksum, the file is damaged or was changed")
    return files


def _is_torchscript(data: bytes) -> bool:
    """Tell a TorchScript archive from a pickle, and from an archive of them (``torch.save``)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            names = inner.namelist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError):
        return False
    return any(n.endswith("/constants.pkl") for n in names) and any("/code/" in n for n in names)


def _plain(entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry is a file beside the others that a model may have.

    No folder, path, link or encryption.
    """
    name = entry.filename
    usual = name in (MANIFEST, CARD_NAME) or (
        name.endswith(".pt") and name[:-3].replace("-", "_").isidentifier()
    )

    kind = (entry.external_attr >> 16) & 0o170000
    return usual and name.isascii() and not entry.flag_bits & 1 and kind in (0, 0o100000)


@contextmanager
def _place(into: Path, card: ModelCard, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """(temporary folder to fill, where it will be).

    Moved there as a whole at the end, or not at all.
    """
    place = into / safe_name(card.name)
    with output_errors(into):
        into.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".rprloc-", dir=into))
    try:
        if place.exists() and not overwrite:
            raise ModelExistsError(
                f"{place}: there is a model of this name already: rename it, or replace it "
                "(--overwrite)"
            )
        yield temporary, place
        with output_errors(place):
            temporary.chmod(0o755)
            _exchange(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, place: Path) -> None:
    """Move ``new`` to ``place``; what was there is deleted last, and put back if the move fails."""
    if not place.exists():
        new.rename(place)
        return

    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    place.rename(old)
    try:
        new.rename(place)
    except OSError:
        old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
