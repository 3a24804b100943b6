"""A stand-in for the worker client.

Answers as docs/worker-protocol.md says, without a process or torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

IDENTITY = {"name": "han-ct", "version": "1.0.0"}


class FakeRequest:
    """A request on its way."""

    def __init__(self, worker: FakeWorker, method: str, callbacks: dict[str, Any]) -> None:
        self.worker, self.method, self.callbacks = worker, method, callbacks
        self.finished = self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        self.worker.later(
            lambda: self.tell({"event": "error", "code": "cancelled", "message": "Cancelled"})
        )

    def tell(self, event: dict[str, Any]) -> None:
        """Report an event; nothing after the last one."""
        if self.finished:
            return
        self.finished = event["event"] in ("result", "error")
        callback = self.callbacks[event["event"]]
        if callback is not None:
            callback(event)


class FakeWorker:
    """``later(f)`` calls f from the event loop.

    Without one, tests call ``run`` to let everything happen.

    requests: (method, params) in order. held: methods that stay without an answer. replies: method
    -> function of params that gives the events instead of the usual ones.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._queue: list[Callable[[], None]] = []
        self.later = later or self._queue.append
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.open: list[FakeRequest] = []
        self.held: set[str] = set()
        self.replies: dict[str, Callable[[dict[str, Any]], list[dict[str, Any]]]] = {}
        self.closed = 0

    def run(self) -> None:
        """Let everything happen that was put off."""
        while self._queue:
            self._queue.pop(0)()

    def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        onProgress: Any = None,
        onPartial: Any = None,
        onLog: Any = None,
        onResult: Any = None,
        onError: Any = None,
    ) -> FakeRequest:
        callbacks = {
            "progress": onProgress,
            "partial": onPartial,
            "log": onLog,
            "result": onResult,
            "error": onError,
        }
        request = FakeRequest(self, method, callbacks)
        self.requests.append((method, params or {}))
        self.open.append(request)
        if method not in self.held:
            self.later(lambda: self._answer(request, method, params or {}))
        return request

    def close(self) -> None:
        self.closed += 1

    def methods(self) -> list[str]:
        """Methods asked for, in order."""
        return [method for method, _ in self.requests]

    def _answer(self, request: FakeRequest, method: str, params: dict[str, Any]) -> None:
        usual = getattr(self, f"_{method.replace('.', '_')}")
        for event in self.replies.get(method, usual)(params):
            request.tell(event)

    def _hello(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"event": "result", "protocol": 1, "torch": "2.13.0"}]

    def _devices(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        devices = [
            {"name": "cpu", "title": "CPU"},
            {"name": "cuda:0", "title": "Some card (cuda:0)"},
        ]
        return [{"event": "result", "devices": devices}]

    def _load(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"event": "result", "card": {}, "device": "cpu"}]

    def _template_make(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        kinds = {"landmark": "landmark", "box": "box", "segment": "box"}
        in_air = [t for t in params["targets"] if "in air" in t["name"]]
        targets = [
            {
                "name": t["name"],
                "kind": kinds[t["kind"]],
                "examples": [{"reference": params["reference"]["name"]}],
            }
            for t in params["targets"]
            if t not in in_air
        ]
        left_out = [
            {"name": t["name"], "kind": kinds[t["kind"]], "reason": "lies in air"} for t in in_air
        ]
        return [{"event": "result", "template": template(targets), "left_out": left_out}]

    def _template_merge(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        first, *others = params["templates"]
        merged = {t["name"]: dict(t, examples=list(t["examples"])) for t in first["targets"]}
        for target in (t for other in others for t in other["targets"]):
            merged.setdefault(target["name"], dict(target, examples=[]))["examples"] += target[
                "examples"
            ]
        return [{"event": "result", "template": template(list(merged.values()))}]

    def _locate(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        query = params["queries"][0]
        rows = [located(target, query["volume"]) for target in params["template"]["targets"]]
        answer = {
            "event": "partial",
            "key": query["key"],
            "results": rows,
            "seconds": 0.1,
            "problem": "",
        }
        return [answer, {"event": "result", "queries": 1, "failed": 0}]


def template(targets: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON object of a template, without latents."""
    return {
        "schema": "rprloc-template",
        "schema_version": 1,
        "model": IDENTITY,
        "body_region": "head and neck",
        "targets": targets,
    }


def located(target: dict[str, Any], volume: dict[str, Any]) -> dict[str, Any]:
    """The row of a target in the middle of a volume.

    ``low-confidence`` or ``outside`` if its name says so, or ``ok`` with a note.
    """
    center = middle(volume)
    name = target["name"].lower()
    status = "low-confidence" if "doubtful" in name else "outside" if "outside" in name else "ok"
    reason = "" if status == "ok" else "the votes disagree"
    reason = "note: the file tells no orientation" if "noted" in name else reason
    isBox = target["kind"] == "box"
    offsets = 10.0 * np.vstack([-np.eye(3), np.eye(3)])
    return {
        "query": volume.get("name", ""),
        "target": target["name"],
        "kind": target["kind"],
        "status": status,
        "reason": reason,
        "center": center.tolist(),
        "size": [20.0, 20.0, 20.0] if isBox else None,
        "spread_mm": 3.0,
        "cycle_mm": 2.0,
        "points": (center + offsets).tolist() if isBox else None,
    }


def middle(volume: dict[str, Any]) -> np.ndarray:
    """LPS of the middle of a VOLUME object; a file given by its path lies around the origin."""
    if "npy" not in volume:
        return np.zeros(3)
    shape = np.load(volume["npy"], mmap_mode="r", allow_pickle=False).shape
    index = [*((np.array(shape[::-1]) - 1) / 2), 1.0]
    return (np.array(volume["ijk_to_lps"]) @ index)[:3]
