"""Calls of the worker's training methods without a process."""

from __future__ import annotations

import json
from typing import Any

from rprloc.worker.job import Registry
from rprtrain.worker import plugin
from support.workers import RecordedJob


def call(method: str, **params: Any) -> tuple[dict[str, Any], RecordedJob]:
    registry = Registry()
    plugin.register(registry)
    job = RecordedJob(method, **json.loads(json.dumps(params)))
    answer = registry.find(method)(job)
    json.dumps(answer, allow_nan=False)
    return answer, job
