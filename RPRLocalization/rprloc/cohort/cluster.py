"""The Dask cluster that tasks run on: on this machine, one that is running, or jobs of Slurm.

Retries are not left to Dask: it would count them per worker and not say why (see driver.py).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..errors import InputError, one_line

LOCAL: Final = "local"
SLURM: Final = "slurm"
_ADDRESSES = ("tcp://", "tls://")
_DASHBOARD = "127.0.0.1:8787"
_CONNECT_S = 30.0
#: Only on this machine: whoever reaches the scheduler can run anything.
_HOST = "127.0.0.1"
#: What a worker does where reading is done by workers of its own: resources, for Dask.
NETWORK, READING = "network", "reading"
SETTINGS: Final[dict[str, Any]] = {
    # A task whose worker dies comes back at once: the driver tries it again, and says why.
    "distributed.scheduler.allowed-failures": 0,
    # One task per worker: those that wait are not lost, and not to blame, when it dies.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": "5 minutes",
    # A worker at its limit is ended. Paused it would hang, and it holds nothing that can be spilt.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.admin.tick.limit": "30s",
}


@dataclass(frozen=True)
class ClusterRequest:
    """Which cluster.

    Attributes:
        scheduler: ``local``, ``slurm``, or the address of one that is running.
        workers: processes or jobs. readers: of these, processes that only read and resample;
            0: every worker does all. threads: of one worker. memory: limit of one worker.
        out: folder of the results; logs of jobs go there.
        walltime, queue, account, directives: of Slurm's jobs.
    """

    scheduler: str
    workers: int
    threads: int
    memory: str
    out: Path
    readers: int = 0
    walltime: str = "24:00:00"
    queue: str = ""
    account: str = ""
    directives: tuple[str, ...] = field(default_factory=tuple)


def check_scheduler(text: str) -> None:
    """Raise InputError unless the text names a scheduler."""
    if text not in (LOCAL, SLURM) and not text.startswith(_ADDRESSES):
        raise InputError(
            f"--scheduler {text}: give local, slurm, or the address of a Dask scheduler "
            "(tcp://host:8786)"
        )


@contextmanager
def connected(request: ClusterRequest) -> Iterator[Any]:
    """Yield a client of the cluster, which is closed behind it if it was started here.

    Raises InputError if there is no scheduler, or its workers have another version.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    _few_threads(request.threads)
    with settings():
        cluster = _started(request)
        client = None
        try:
            client = _client(request, cluster)
            _check_versions(client)
            yield client
        finally:
            _closed(client, cluster)


@contextmanager
def settings() -> Iterator[None]:
    """Have Dask's settings changed for a while."""
    import dask

    # Its defaults come with its import: within the block, they would go with our settings.
    import distributed  # noqa: F401

    with dask.config.set(SETTINGS):
        yield


def _few_threads(threads: int) -> None:
    """Workers inherit the environment: libraries must not start a thread per core each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(threads)


def _started(request: ClusterRequest) -> Any:
    """Start a cluster of this request; None for one that is running."""
    if request.scheduler == LOCAL:
        return _local(request)
    if request.scheduler == SLURM:
        return _slurm(request)
    return None


def _local(request: ClusterRequest) -> Any:
    from distributed import LocalCluster, Nanny, Scheduler, Security, SpecCluster

    security = Security.temporary()
    common = {"security": security, "dashboard_address": _DASHBOARD}
    limits = {"nthreads": 1, "memory_limit": request.memory, "silence_logs": logging.CRITICAL}
    if not request.readers:
        return LocalCluster(
            n_workers=request.workers,
            threads_per_worker=1,
            memory_limit=request.memory,
            host=_HOST,
            silence_logs=logging.CRITICAL,
            **common,
        )
    kinds = [READING] * request.readers + [NETWORK] * request.workers
    workers = {
        f"{kind}-{n}": {
            "cls": Nanny,
            "options": {**limits, "security": security, "resources": {kind: 1}},
        }
        for n, kind in enumerate(kinds)
    }
    scheduler = {"cls": Scheduler, "options": {**common, "host": _HOST, "protocol": "tls://"}}
    return SpecCluster(
        scheduler=scheduler, workers=workers, security=security, silence_logs=logging.CRITICAL
    )


def _slurm(request: ClusterRequest) -> Any:
    from dask_jobqueue import SLURMCluster
    from distributed import Security

    folder = request.out / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cluster = SLURMCluster(
            queue=request.queue or None,
            account=request.account or None,
            cores=1,
            job_cpu=request.threads,
            processes=1,
            memory=request.memory,
            walltime=request.walltime,
            job_extra_directives=list(request.directives),
            log_directory=str(folder),
            local_directory=None,
            security=Security.temporary(),
            shared_temp_directory=str(folder),
            protocol="tls://",
            scheduler_options={"dashboard_address": _DASHBOARD},
        )
        cluster.scale(request.workers)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"--scheduler slurm: no jobs can be handed in ({one_line(error)}): run this where "
            "`sbatch` works, or take --scheduler local"
        ) from error
    return cluster


def _client(request: ClusterRequest, cluster: Any) -> Any:
    from distributed import Client

    try:
        if cluster is not None:
            return Client(cluster, timeout=_CONNECT_S, set_as_default=False)
        client = Client(request.scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"--scheduler {request.scheduler}: no Dask scheduler answers there "
            f"({one_line(error)}): start one with `dask scheduler`"
        ) from error
    client.run_on_scheduler(_no_retries)
    return client


def dashboard(client: Any) -> str:
    """Return the address of Dask's dashboard; empty if there is none.

    That of a cluster that was started here answers on this machine alone.
    """
    if client.cluster is None:
        return str(client.dashboard_link or "")
    port = client.scheduler_info(n_workers=0).get("services", {}).get("dashboard")
    return f"http://{_HOST}:{port}/status" if port else ""


def _no_retries(dask_scheduler: Any) -> None:
    """Set what a scheduler that was started elsewhere may not have."""
    dask_scheduler.allowed_failures = 0
    dask_scheduler.WORKER_SATURATION = 1.0


def _version() -> str:
    return __version__


def _check_versions(client: Any) -> None:
    """Raise InputError if a worker has another version of this package, or none."""
    try:
        found = set(client.run(_version).values())
    except Exception as error:
        raise InputError(
            f"the workers cannot run rprloc ({one_line(error)}): install the same version there"
        ) from error
    if found - {__version__}:
        raise InputError(
            f"the workers have rprloc {', '.join(sorted(found))}, but this is {__version__}: "
            "install the same version there"
        )


def _closed(client: Any, cluster: Any) -> None:
    for one in (client, cluster):
        if one is None:
            continue
        # What is gone need not be closed.
        try:
            one.close(timeout=10)
        except Exception as error:
            logging.getLogger(__name__).debug("closing: %s", error)
