"""Walk a tree of CTs and write its index: headers only, in a pool of processes, resumable."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .folder_rows import FolderRows, Place, dicom_rows, image_row
from .folders import Folder, folders
from .header_scan import ScannedFile, scan_files
from .index_rows import IndexRow, write_index
from .journal import Journal
from .pseudonyms import Pseudonyms

#: Files of one piece of work: a second of one core, so that the last ones end together.
_CHUNK = 250
#: Pieces that wait per process: enough that none is idle, and little to keep in memory.
_WAITING = 8


@dataclass(frozen=True)
class IndexRequest:
    """What to index.

    Attributes:
        root: folder to walk. out: the Parquet file.
        workers: processes that read headers.
        pseudonyms: of patients and studies; None for none.
    """

    root: Path
    out: Path
    workers: int
    pseudonyms: Pseudonyms | None = None


@dataclass
class IndexSummary:
    """What was found.

    Attributes:
        rows: of the index. others: series of other modalities, by modality.
        files: that were looked at. known: of these, in folders that had not changed.
        problems: folders that could not be listed, and why.
    """

    rows: list[IndexRow] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    files: int = 0
    known: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Pending:
    """A folder whose headers are being read."""

    folder: Folder
    parts: list[Future[list[ScannedFile]]]


def make_index(request: IndexRequest, report: Callable[[IndexSummary], None]) -> IndexSummary:
    """Read a tree, and write its index at the end.

    report: is called after every folder. Raises InputError if the root cannot be walked or a
    process was ended from outside (repeat the command: it goes on), and OutputError.
    """
    root = request.root.resolve()
    if not root.is_dir():
        raise InputError(f"{request.root}: no such folder")
    summary = IndexSummary()
    salt = request.pseudonyms.label if request.pseudonyms is not None else ""
    with Journal(request.out, root, salt) as journal, _pool(request.workers) as pool:
        try:
            for folder, found in _finished(root, request, journal, pool, summary):
                summary.rows += found.rows
                summary.others += found.others
                summary.files += len(folder.files) + len(folder.images)
                report(summary)
        except BrokenProcessPool as error:
            raise InputError(
                "a process that read headers was ended from outside (out of memory?): repeat the "
                "command, which goes on where it stopped, with fewer --workers"
            ) from error
        except BaseException:
            # What waits would be read before the pool closes.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    write_index(request.out, root, summary.rows)
    return summary


def _pool(workers: int) -> Executor:
    # Not forked from here: the parent may hold threads and locks.
    kinds = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([scan_files.__module__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which says what is complete."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _finished(
    root: Path, request: IndexRequest, journal: Journal, pool: Executor, summary: IndexSummary
) -> Iterator[tuple[Folder, FolderRows]]:
    """Yield the folders in their order, with their rows; new ones go into the journal."""
    waiting: deque[_Pending] = deque()
    pieces = 0
    for folder in folders(root, lambda error: summary.problems.append(_problem(error))):
        known = journal.find(folder)
        if known is not None:
            summary.known += len(folder.files) + len(folder.images)
            yield folder, known
            continue
        pending = _Pending(folder, [pool.submit(scan_files, part) for part in _chunks(folder)])
        waiting.append(pending)
        pieces += len(pending.parts)
        while pieces > _WAITING * request.workers:
            first = waiting.popleft()
            pieces -= len(first.parts)
            yield first.folder, _rows(root, request, journal, first)
    for pending in waiting:
        yield pending.folder, _rows(root, request, journal, pending)


def _chunks(folder: Folder) -> Iterator[Sequence[Path]]:
    for start in range(0, len(folder.files), _CHUNK):
        yield folder.files[start : start + _CHUNK]


def _rows(root: Path, request: IndexRequest, journal: Journal, pending: _Pending) -> FolderRows:
    scanned = [file for part in pending.parts for file in part.result()]
    place = Place(root, pending.folder.path, request.pseudonyms)
    found = dicom_rows(place, scanned) if scanned else FolderRows()
    found.rows += [image_row(place, path) for path in pending.folder.images]
    journal.add(pending.folder, found)
    return found


def _problem(error: OSError) -> str:
    return f"{error.filename}: cannot be listed ({error.strerror or error})"
