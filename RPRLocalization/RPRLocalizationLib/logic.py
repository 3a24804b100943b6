"""The module's logic.

Everything the panel does, usable from the Python console and from scripts without a window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from rprloc.errors import InputError

from .jobs.localizationjob import LocalizationJob, Query, queriesOf
from .jobs.templatejob import TemplateJob
from .jobs.workerjob import EngineChoice, JobObserver, TemplateSource, Worker
from .library.templatelibrary import TemplateInfo, TemplateLibrary, readTemplate
from .parameters import RPRLocalizationParameterNode
from .scene.contournodes import ContourNodes
from .scene.markedtargets import MarkedTarget, targetsOf
from .scene.resultnodes import ResultNodes
from .scene.resultrows import ResultRow, Run
from .settings import Settings, userFolder
from .worker.client import WorkerClient
from .worker.exchangefolder import ExchangeFolder

MODULE_NAME = "RPRLocalization"


class RPRLocalizationLogic(ScriptedLoadableModuleLogic):
    """Localization of what is marked on one CT in other CTs.

    client: of the worker process; settings, library: the user's; all three can be injected for
        tests.

    Example, for the Python console (two loaded CTs, a fiducial list and an ROI marked on the
    first)::

        from RPRLocalization import RPRLocalizationLogic
        reference, query = slicer.util.getNode("reference"), slicer.util.getNode("query")
        logic = RPRLocalizationLogic()
        run = logic.localize(reference, [slicer.util.getNode("F"), slicer.util.getNode("R")],
            [query])
        for row in run.rows:
            print(row.query, row.target, row.status, row.center)  # LPS mm
        logic.close()
    """

    def __init__(
        self,
        client: Any = None,
        settings: Settings | None = None,
        library: TemplateLibrary | None = None,
    ) -> None:
        super().__init__()
        # The parameter node belongs to the module, also where a script makes the logic under
        # another class.
        self.moduleName = MODULE_NAME
        self.worker = Worker(client or WorkerClient(), ExchangeFolder())
        self.settings = settings or Settings()
        self.library = library or TemplateLibrary(userTemplateFolder(self.settings))
        self.job: Any = None

    def getParameterNode(self) -> RPRLocalizationParameterNode:
        """The choices that are saved with the scene."""
        return RPRLocalizationParameterNode(super().getParameterNode())  # type: ignore[call-arg]

    def localize(  # noqa: PLR0913 (the one call that scripts use)
        self,
        reference: Any = None,
        targets: Any = (),
        queries: Any = (),
        *,
        template: Any = None,
        model: str | None = None,
        device: str | None = None,
        name: str = "",
        extremePoints: bool = False,
        contours: bool = False,
        transforms: bool = False,
        options: dict[str, Any] | None = None,
        waitForCompletion: bool = True,
        listener: JobObserver | None = None,
        onRows: Callable[..., Any] = lambda run, indices: None,
    ) -> Run:
        """Find the targets of one reference CT, or of a template, in other CTs.

        reference: volume node that carries ``targets``: fiducial lists (each point a landmark),
        ROIs and segmentations (each segment an organ), or ``MarkedTarget`` items. template:
        instead, a template's file, JSON object or title in the library. queries: volume nodes, and
        paths of CT files or DICOM folders (these are searched without being loaded). model, device:
        by default what the user has chosen. options: ``steps``, ``runs``, ``seed`` of the engine.
        name: of the run. extremePoints: also show the six extreme points of every organ.
        contours: also carry the segments to every loaded query, as a segmentation. transforms: also
        make a transform of each map, which carries anything from the reference to the query.
        listener: told of progress, log lines and the end; onRows(run, indices): told of every
            finished query.

        Gives the ``Run``: ``run.rows`` holds one ``ResultRow`` per query and target, positions in
        LPS mm of the world; a query that failed as a whole has one row without target. Its nodes
        lie in a subject-hierarchy folder per query. With
        waitForCompletion=False it gives the run at once, ``self.job`` works on, and rows come as
        they are found.

        Raises InputError for inputs that cannot be used; if it waits, RuntimeError if the run as a
        whole failed (no worker, no model, ...); a query that cannot be searched becomes a row with
        the status ``failed``.
        """
        source = self._source(reference, targets, template)
        engine = self._engine(model, device, options)
        title = self._title(name or (reference.GetName() if template is None else _("template")))
        run = self._newRun(source, queries, title)
        take = self._rowTaker(run, extremePoints, onRows)
        job = LocalizationJob(
            self.worker,
            source,
            queriesOf(*splitQueries(queries)),
            engine,
            listener or JobObserver(),
            take,
            onContours=self._contourTaker(run, contours, transforms),
        )
        job.whenFinished(lambda: dropIfEmpty(run))
        self._start(job)
        if waitForCompletion:
            self._wait(job)
        return run

    def _newRun(self, source: TemplateSource, queries: Sequence[Any], title: str) -> Run:
        """An empty run, once everything that can be checked at once is right.

        Raises InputError.
        """
        if not queries:
            raise InputError(_("Choose at least one CT to search."))
        source.check()
        self._refuseSecond()
        return Run.create(slicer.mrmlScene, title)

    def _rowTaker(
        self, run: Run, extremePoints: bool, onRows: Callable[[Run, range], None]
    ) -> Callable[[Query, list[ResultRow]], None]:
        """What becomes of a query's rows: nodes in the scene, as long as the run is in it."""
        nodes = ResultNodes(slicer.mrmlScene)

        def take(query: Query, rows: list[ResultRow]) -> None:
            if not slicer.mrmlScene.IsNodePresent(run.node):
                if self.job is not None:
                    self.job.abandon()
                return
            indices = run.add(rows, query.node)
            if query.node is not None:
                nodes.show(run, indices, extremePoints)
            onRows(run, indices)

        return take

    @staticmethod
    def _contourTaker(
        run: Run, contours: bool, transforms: bool
    ) -> Callable[[Query, dict[str, Any]], None] | None:
        """What becomes of what is carried to a query; None if nothing is wanted."""
        if not contours and not transforms:
            return None
        nodes = ContourNodes(slicer.mrmlScene)

        def take(query: Query, carried: dict[str, Any]) -> None:
            if query.node is None or query.node.GetScene() is None:
                return
            if contours:
                nodes.showSegments(run, query.name, query.node, carried)
            if transforms:
                nodes.showMaps(run, query.name, carried)

        return take

    def saveTemplate(
        self,
        reference: Any,
        targets: Any,
        title: str,
        *,
        model: Any = None,
        device: Any = None,
        contours: bool = False,
        waitForCompletion: bool = True,
        listener: Any = None,
    ) -> TemplateInfo | None:
        """Learn the targets on the reference and keep them in the user's library.

        Gives the TemplateInfo if it waits. contours: it keeps the segments' masks too (no image),
        so that they can be carried without the reference.

        Raises InputError (targets, title in use), OutputError, and RuntimeError as ``localize``.
        """
        self.library.checkTitle(title)
        return self._makeTemplate(
            self._source(reference, targets, None),
            self._engine(model, device),
            waitForCompletion,
            listener,
            lambda data: self.library.save(data, title),
            contours=contours,
        )

    def addToTemplate(
        self,
        info: Any,
        reference: Any,
        targets: Any,
        *,
        model: Any = None,
        device: Any = None,
        contours: bool = False,
        waitForCompletion: bool = True,
        listener: Any = None,
    ) -> TemplateInfo | None:
        """Pool another reference into a template of the user's library (few-shot).

        See ``saveTemplate``.
        """
        self.library.refuseBundled(info)
        content = self.library.content(info)
        return self._makeTemplate(
            self._source(reference, targets, None),
            self._engine(model, device),
            waitForCompletion,
            listener,
            lambda data: self.library.replace(info, data),
            content,
            contours,
        )

    def findDevices(self, onDevices: Callable[..., Any], onFailed: Callable[..., Any]) -> None:
        """Ask the worker for its devices.

        OnDevices(list of {name, title}) or onFailed(message) is called later.
        """
        self.worker.client.request(
            "devices",
            onResult=lambda event: onDevices(event["devices"]),
            onError=lambda event: onFailed(str(event["message"])),
        )

    def cancel(self) -> None:
        """Stop the job that runs, if any; what is done is kept."""
        if self.job is not None:
            self.job.cancel()

    @property
    def running(self) -> bool:
        """True while a job works."""
        return self.job is not None and not self.job.finished

    def close(self) -> None:
        """End the worker process; it starts again if it is needed."""
        if self.running:
            self.job.abandon()
        self.worker.client.close()
        self.worker.folder.close()

    def _makeTemplate(
        self,
        source: TemplateSource,
        engine: EngineChoice,
        wait: Any,
        listener: Any,
        keep: Callable[..., Any],
        addTo: Any = None,
        contours: bool = False,
    ) -> TemplateInfo | None:
        self._refuseSecond()
        source.check()
        kept = []
        job = TemplateJob(
            self.worker,
            source,
            engine,
            listener or JobObserver(),
            lambda data: kept.append(keep(data)),
            addTo,
            contours,
        )
        self._start(job)
        if wait:
            self._wait(job)
        return kept[0] if kept else None

    def _start(self, job: Any) -> None:
        job.start()
        self.job = job

    @staticmethod
    def _wait(job: Any) -> None:
        """Let the event loop run until the job has ended; for scripts, and for the console.

        Raises RuntimeError.
        """
        loop = qt.QEventLoop()
        job.whenFinished(loop.quit)
        if not job.finished:
            loop.exec_()
        if job.problem is not None:
            raise RuntimeError(job.problem.message)

    def _source(self, reference: Any, targets: Any, template: Any) -> TemplateSource:
        if template is not None:
            return TemplateSource(template=self._template(template))
        if reference is None:
            raise InputError(_("Choose the reference CT, or a template."))
        marked = [item for item in targets if isinstance(item, MarkedTarget)]
        marked += [
            t for t in targetsOf(n for n in targets if not isinstance(n, MarkedTarget)) if t.used
        ]
        return TemplateSource(reference=reference, targets=tuple(marked))

    def _template(self, template: Any) -> dict[str, Any]:
        """Template given as JSON object, title or key in the library, or file.

        Raises InputError, TemplateError.
        """
        if isinstance(template, dict):
            content = template
        else:
            known = [
                info for info in self.library.templates() if str(template) in (info.key, info.title)
            ]
            content = self.library.content(known[0]) if known else readTemplate(Path(template))
        if not content.get("targets"):
            raise InputError(_("Tick at least one target of the template."))
        return content

    @staticmethod
    def _title(marked: str) -> str:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        return slicer.mrmlScene.GetUniqueNameByString(
            _("Localization {time} ({marked})").format(marked=marked, time=stamp)
        )

    def _engine(
        self, model: str | None, device: str | None, options: dict[str, Any] | None = None
    ) -> EngineChoice:
        """What computes; what is not given is as the user has chosen."""
        return EngineChoice(
            model or self.settings.model, device or self.settings.device, options or {}
        )

    def _refuseSecond(self) -> None:
        if self.running:
            raise InputError(_("A localization is running: wait for it, or cancel it first."))


def splitQueries(queries: Any) -> tuple[list[Any], list[str]]:
    """(volume nodes, paths) of mixed queries."""
    paths = [str(query) for query in queries if isinstance(query, (str, Path))]
    return [query for query in queries if not isinstance(query, (str, Path))], paths


def dropIfEmpty(run: Run) -> None:
    """Remove a run that ended before its first query was done."""
    if not run.rows and slicer.mrmlScene.IsNodePresent(run.node):
        slicer.mrmlScene.RemoveNode(run.node)


def userTemplateFolder(settings: Settings) -> Path:
    """Folder of the user's templates: the chosen one, else beside the application's settings."""
    return Path(settings.templateFolder) if settings.templateFolder else userFolder() / "Templates"
