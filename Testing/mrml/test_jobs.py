"""Runs over many queries: one that fails costs its own rows only.

No worker process: its protocol is played.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from RPRLocalizationLib.jobs.localizationjob import LocalizationJob, queriesOf
from RPRLocalizationLib.jobs.templatejob import TemplateJob
from RPRLocalizationLib.jobs.workerjob import EngineChoice, JobObserver, TemplateSource, Worker
from RPRLocalizationLib.scene.markedtargets import targetsOf
from RPRLocalizationLib.worker.exchangefolder import ExchangeFolder
from support.panels import scenes
from support.panels.fake_worker import FakeWorker, template

from rprloc.errors import InputError

ORGANS = [{"name": f"organ {n}", "kind": "box", "examples": []} for n in range(7)]
MATRIX, SIZE = scenes.ijkMatrix((0, 1, 2), (1.0, 1.0, 1.0))


class Bench:
    """A job with everything it needs, and what it has told."""

    def __init__(self, scene, volumes=(), paths=(), source=None, clock=None, onContours=None):
        self.client, self.folder = FakeWorker(), ExchangeFolder()
        self.rows, self.progress, self.lines, self.ends = {}, [], [], []
        listener = JobObserver(
            lambda *what: self.progress.append(what),
            lambda *line: self.lines.append(line),
            self.ends.append,
        )
        self.job = LocalizationJob(
            Worker(self.client, self.folder),
            source or TemplateSource(template=template(ORGANS)),
            queriesOf(volumes, paths),
            EngineChoice("han-ct", "auto"),
            listener,
            lambda query, rows: self.rows.update({query.name: rows}),
            **({"clock": clock} if clock else {}),
            onContours=onContours,
        )

    def run(self):
        self.job.start()
        self.client.run()
        return self


def addVolumes(scene, count):
    return [scenes.addVolume(scene, MATRIX, SIZE, name=f"CT {n + 1}") for n in range(count)]


def statuses(rows):
    return [row.status for row in rows]


def test_twentyVolumesLoseNothingWhenTheSeventhCannotBeRead(scene):
    volumes = addVolumes(scene, 20)
    volumes[6].SetAndObserveImageData(None)
    bench = Bench(scene, volumes).run()
    assert [len(rows) for rows in bench.rows.values()] == [7] * 6 + [1] + [7] * 13
    assert list(bench.rows) == [f"CT {n + 1}" for n in range(20)]
    assert statuses(bench.rows["CT 7"]) == ["failed"]
    assert "CT 7: the volume holds no voxels" in bench.rows["CT 7"][0].reason
    assert all(statuses(rows) == ["ok"] * 7 for name, rows in bench.rows.items() if name != "CT 7")
    assert bench.ends == [None] and bench.job.failed == 1


def test_modelIsLoadedAndTemplateLearnedOnce(scene):
    reference, *queries = addVolumes(scene, 3)
    fiducials = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    fiducials.AddControlPoint(*scenes.CENTER, "nose")
    source = TemplateSource(reference=reference, targets=tuple(targetsOf([fiducials])))
    bench = Bench(scene, queries, source=source).run()
    assert bench.client.methods() == ["hello", "load", "template.make", "locate", "locate"]
    made = bench.client.requests[2][1]
    assert made["targets"][0]["point_lps"] == pytest.approx([-12.0, 30.0, 70.0])
    assert made["reference"]["name"] == "CT 1"
    assert [row.target for row in bench.rows["CT 2"]] == ["nose"]


def test_voxelsAreRemovedAsSoonAsTheyAreAnswered(scene):
    bench = Bench(scene, addVolumes(scene, 3))
    seen = []
    bench.client.replies["locate"] = lambda params: [
        seen.append(sorted(Path(bench.folder.path).glob("*.npy"))),
        *bench.client._locate(params),
    ][1:]
    bench.run()
    assert [len(files) for files in seen] == [1, 1, 1]
    assert not list(Path(bench.folder.path).glob("*.npy"))
    folder = Path(bench.folder.path)
    bench.folder.close()
    assert not folder.exists()


def test_deadWorkerCostsOneQuery(scene):
    bench = Bench(scene, addVolumes(scene, 4))
    usual, asked = bench.client._locate, []

    def reply(params):
        asked.append(params)
        died = {"event": "error", "code": "worker-died", "message": "it ended", "details": "Killed"}
        return [died] if len(asked) == 2 else usual(params)

    bench.client.replies["locate"] = reply
    bench.run()
    assert [statuses(rows)[0] for rows in bench.rows.values()] == ["ok", "failed", "ok", "ok"]
    assert bench.rows["CT 2"][0].reason == "it ended"
    assert ("warning", "Killed") in bench.lines and bench.ends == [None]
    assert bench.client.methods().count("hello") == 2


def test_workerThatAlwaysDiesEndsTheRun(scene):
    bench = Bench(scene, addVolumes(scene, 4))
    died = {"event": "error", "code": "worker-died", "message": "it ended"}
    bench.client.replies["locate"] = lambda params: [died]
    bench.run()
    assert len(bench.rows) == 2 and bench.ends[0].code == "worker-died" and len(bench.ends) == 1


@pytest.mark.parametrize("code", ["input", "memory", "internal"])
def test_errorsOfOneQueryDoNotEndTheRun(scene, code):
    bench = Bench(scene, addVolumes(scene, 2))
    error = {"event": "error", "code": code, "message": "not this one"}
    bench.client.replies["locate"] = lambda params: (
        [error] if params["queries"][0]["key"] == "0" else bench.client._locate(params)
    )
    bench.run()
    assert [statuses(rows)[0] for rows in bench.rows.values()] == [
        "failed",
        "ok",
    ] and bench.ends == [None]


@pytest.mark.parametrize("code", ["model", "template", "device", "no-torch", "bad-request"])
def test_errorsOfTheRunEndItAndKeepWhatIsDone(scene, code):
    bench = Bench(scene, addVolumes(scene, 3))
    error = {"event": "error", "code": code, "message": "no way"}
    bench.client.replies["locate"] = lambda params: (
        [error] if params["queries"][0]["key"] == "1" else bench.client._locate(params)
    )
    bench.run()
    assert list(bench.rows) == ["CT 1"] and [end.code for end in bench.ends] == [code]


def test_contoursAreAskedForLoadedVolumesOnly(scene):
    carried = []
    bench = Bench(
        scene,
        addVolumes(scene, 1),
        ["/data/other.nii.gz"],
        onContours=lambda query, contours: carried.append((query.name, contours)),
    )

    def answer(params):
        partial, result = bench.client._locate(params)
        return [{**partial, "contours": {"segments": [], "maps": {}}}, result]

    bench.client.replies["locate"] = answer
    bench.run()
    asked = [params for method, params in bench.client.requests if method == "locate"]
    assert [params.get("contours", False) for params in asked] == [True, False]
    assert carried[0] == ("CT 1", {"segments": [], "maps": {}})


def test_withoutTheWishNothingIsCarried(scene):
    bench = Bench(scene, addVolumes(scene, 1)).run()
    assert all("contours" not in params for _, params in bench.client.requests)


def test_missingTorchIsSaidBeforeAnythingElse(scene):
    bench = Bench(scene, addVolumes(scene, 1))
    bench.client.replies["hello"] = lambda params: [{"event": "result", "torch": None}]
    bench.run()
    assert bench.client.methods() == ["hello"] and bench.ends[0].code == "no-torch"


def test_cancelEndsAtOnceAndKeepsWhatIsDone(scene):
    bench = Bench(scene, addVolumes(scene, 3))
    bench.client.replies["locate"] = lambda params: (
        [] if params["queries"][0]["key"] == "1" else bench.client._locate(params)
    )
    bench.run()
    assert not bench.job.finished
    bench.job.cancel()
    assert bench.job.finished and bench.ends[0].cancelled and list(bench.rows) == ["CT 1"]
    bench.client.run()
    assert len(bench.ends) == 1 and not bench.job.busy
    assert not list(Path(bench.folder.path).glob("*.npy"))


def test_answersAfterCancelAreDropped(scene):
    bench = Bench(scene, addVolumes(scene, 2))
    bench.client.held.add("locate")
    bench.run()
    bench.job.cancel()
    late = {"event": "partial", "results": [], "problem": ""}
    bench.client.open[-1].tell(late)
    assert bench.rows == {}


def test_queryWithoutAnswerFails(scene):
    bench = Bench(scene, addVolumes(scene, 1))
    bench.client.replies["locate"] = lambda params: [{"event": "result"}]
    bench.run()
    assert bench.rows["CT 1"][0].reason == "the worker gave no answer"


def test_volumeRemovedMeanwhileFails(scene):
    volumes = addVolumes(scene, 2)
    bench = Bench(scene, volumes)
    scene.RemoveNode(volumes[1])
    bench.run()
    assert "removed from the scene" in bench.rows["CT 2"][0].reason


def test_progressCountsAndTellsTheTimeLeft(scene):
    ticks = iter([0.0, 10.0, 20.0, 30.0])
    bench = Bench(scene, addVolumes(scene, 3), clock=lambda: next(ticks)).run()
    queries = [(fraction, left) for fraction, text, left in bench.progress if "volume" in text]
    assert queries == [(0.0, None), (pytest.approx(1 / 3), 20.0), (pytest.approx(2 / 3), 10.0)]


def test_filesAreGivenByTheirPath(scene):
    bench = Bench(scene, paths=["/some/a.nii.gz", "/other/a.nii.gz"]).run()
    asked = [
        params["queries"][0]["volume"]
        for method, params in bench.client.requests
        if method == "locate"
    ]
    assert asked == [
        {"path": "/some/a.nii.gz", "name": "a.nii.gz"},
        {"path": "/other/a.nii.gz", "name": "a.nii.gz (2)"},
    ]


def test_unusableTargetsAreRefusedBeforeTheWorkerIsAsked(scene):
    reference = addVolumes(scene, 1)[0]
    with pytest.raises(InputError, match="Mark at least one target"):
        TemplateSource(reference=reference).check()
    fiducials = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    fiducials.AddControlPoint(0, 0, 0, "same")
    fiducials.AddControlPoint(1, 1, 1, "same")
    with pytest.raises(InputError, match="Two targets are called same"):
        TemplateSource(reference=reference, targets=tuple(targetsOf([fiducials]))).check()


def test_anExceptionInsideEndsTheRunAndIsNotLost(scene):
    bench = Bench(scene, addVolumes(scene, 1))
    bench.client.replies["locate"] = lambda params: [
        {"event": "partial", "results": [{}], "problem": ""}
    ]
    with pytest.raises(KeyError):
        bench.run()
    assert bench.ends[0].code == "internal"


def test_referenceIsPooledIntoATemplate(scene):
    fiducials = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    fiducials.AddControlPoint(*scenes.CENTER, "nose")
    source = TemplateSource(
        reference=addVolumes(scene, 1)[0], targets=tuple(targetsOf([fiducials]))
    )
    old = template([{"name": "nose", "kind": "landmark", "examples": [{"reference": "first"}]}])
    made, client = [], FakeWorker()
    TemplateJob(
        Worker(client, ExchangeFolder()),
        source,
        EngineChoice("m", "cpu"),
        JobObserver(),
        made.append,
        old,
    ).start()
    client.run()
    assert [e["reference"] for e in made[0]["targets"][0]["examples"]] == ["first", "CT 1"]


def pathJob(onRows, *paths):
    """A job over files: it, its fake worker, and how it has ended."""
    client, ends = FakeWorker(), []
    job = LocalizationJob(
        Worker(client, ExchangeFolder()),
        TemplateSource(template=template(ORGANS[:1])),
        queriesOf([], paths),
        EngineChoice("han-ct", "auto"),
        JobObserver(onFinished=ends.append),
        onRows,
    )
    return job, client, ends


def test_rowsAreReportedOnceAlsoWhereTheirObserverFails(scene):
    told = []

    def onRows(query, rows):
        told.append(query.name)
        raise OSError("disk full")

    job, client, ends = pathJob(onRows, "/a.nii", "/b.nii")
    client.replies["locate"] = lambda params: [{"event": "result"}]
    job.start()
    with pytest.raises(OSError, match="disk full"):
        client.run()
    assert told == ["a.nii"] and [end.code for end in ends] == ["internal"]


def test_aWorkerThatDiesAfterItsAnswersEndsNoRun(scene):
    rowsOf = {}
    job, client, ends = pathJob(
        lambda query, rows: rowsOf.update({query.name: rows}), "/a.nii", "/b.nii", "/c.nii"
    )
    died = {"event": "error", "code": "worker-died", "message": "it ended"}
    client.replies["locate"] = lambda params: [client._locate(params)[0], died]
    job.start()
    client.run()
    assert [statuses(rows) for rows in rowsOf.values()] == [["ok"]] * 3 and ends == [None]


def test_cancelledByTheObserverOfFailedRows(scene):
    told = []

    def onRows(query, rows):
        told.append(query.name)
        job.cancel()

    job, client, ends = pathJob(onRows, "/a.nii", "/b.nii")
    error = {"event": "error", "code": "input", "message": "not this one"}
    client.replies["locate"] = lambda params: [error]
    job.start()
    client.run()
    assert told == ["a.nii"] and client.methods().count("locate") == 1
    assert [end.cancelled for end in ends] == [True]


def test_targetsThatCannotBeLearnedGetARowInEveryQuery(scene):
    reference, *queries = addVolumes(scene, 3)
    fiducials = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    fiducials.AddControlPoint(*scenes.CENTER, "nose")
    fiducials.AddControlPoint(*scenes.CENTER, "in air")
    empty = scenes.addSegment(scene, MATRIX, np.zeros(SIZE[::-1], dtype=bool), "empty")
    marked = tuple(targetsOf([fiducials, empty]))
    bench = Bench(scene, queries, source=TemplateSource(reference=reference, targets=marked)).run()

    for rows in bench.rows.values():
        assert [row.target for row in rows] == ["nose", "empty", "in air"]
        assert statuses(rows) == ["ok", "failed", "failed"]
        assert rows[2].reason == "As marked on the reference it lies in air"
        assert rows[1].kind == "box"
    assert bench.ends == [None] and bench.job.failed == 0
    assert ("warning", "in air: As marked on the reference it lies in air") in bench.lines


def test_aRunWithoutAnyUsableTargetIsRefusedBeforeTheWorkerIsAsked(scene):
    (reference,) = addVolumes(scene, 1)
    empty = scenes.addSegment(scene, MATRIX, np.zeros(SIZE[::-1], dtype=bool), "empty")
    source = TemplateSource(reference=reference, targets=tuple(targetsOf([empty])))
    with pytest.raises(InputError):
        source.check()
