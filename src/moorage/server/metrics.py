"""The metrics of a node, whichever of its processes is asked. Imported where metrics are on, and nowhere else.

Every process writes what it counts into files of its own in a folder that all can read (prometheus-client's
multiprocess mode); the process that is asked adds up all of them. The files belong to the process's place and not to
its id: one that is started again goes on with those of the one before it, so nothing that was counted is lost, and
there are never more files than places. Values that hold only now are not among them: those are looked up when they are
asked for.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from moorage import __version__
from moorage.errors import BackendError
from moorage.health.questions import Question
from moorage.metadata.queues import RowCountStore
from moorage.telemetry import get_log

_FILES_BYTES = {"counter": 1 << 20, "histogram": 4 << 20, "gauge_livesum": 1 << 16, "gauge_livemax": 1 << 16}
"""More than all there is to count ever needs."""
_PASSING = ("gauge_livesum", "gauge_livemax")
"""The gauges that hold only while their process lives: the next one in its place begins at zero."""
_DEADLINE_S = 10.0
_USUAL_INTERVAL = timedelta(seconds=10)

Counts = Callable[[], Awaitable[Mapping[str, int]]]
"""Counts things that are now, by name. Raises: BackendError."""

_log = get_log("metrics")


def count_in(folder: Path, place: int) -> CollectorRegistry:
    """Have this process count in files of *folder*, as the only one of this *place*; return what to register with.

    The room for it is taken at once: a file that cannot grow when it has to would be the end of the process.

    Raises:
        OSError: there is no room for it.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    for kind in _PASSING:
        (folder / f"{kind}_{place}.db").unlink(missing_ok=True)
    for kind, size_bytes in _FILES_BYTES.items():
        _make_room(folder / f"{kind}_{place}.db", size_bytes)
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]  # the library's
    return CollectorRegistry()


def _make_room(path: Path, size_bytes: int) -> None:
    """Make a file of that size; a process that adds up all files meanwhile sees none: an empty one cannot be read."""
    made = path if path.exists() else path.with_suffix(".new")
    with made.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
    made.rename(path)


class Exposition:
    """Metrics as Prometheus is told them."""

    def __init__(
        self,
        folder: Path,
        *,
        rows: RowCountStore | None = None,
        interval: timedelta = _USUAL_INTERVAL,
        pending: Counts | None = None,
        adopted: Counts | None = None,
    ) -> None:
        """Tell what is in *folder*.

        Args:
            folder: where the processes count.
            rows: what to count besides.
            interval: the time that a count stands for, zero for ten seconds.
            pending: counts the events that wait for each endpoint.
            adopted: counts the repositories of link files that are taken over, or are to be.
        """
        self._folder = folder
        self._rows = None if rows is None else _Counted(rows.count)
        self._pending = None if pending is None else _Counted(pending)
        self._adopted = None if adopted is None else _Counted(adopted)
        self._interval_s = (interval or _USUAL_INTERVAL).total_seconds()
        self._lock = asyncio.Lock()
        self._counted_at = float("-inf")

    async def text(self) -> bytes:
        """Everything, in Prometheus' text format. What the database does not tell in time is left out."""
        counted = [each for each in (self._rows, self._pending, self._adopted) if each is not None]
        if counted:
            async with self._lock:
                if time.monotonic() - self._counted_at >= self._interval_s:
                    await asyncio.gather(*(each.count() for each in counted))
                    self._counted_at = time.monotonic()
        return await asyncio.to_thread(self._generate)

    def _generate(self) -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]  # as above
        registry.register(_Build())
        if self._rows is not None and self._rows.found:
            name, text = "registry_database_rows", "Rows in the database, by kind."
            registry.register(_Gauge(name, text, "query_name", self._rows.found))
        if self._pending is not None and self._pending.found:
            name, text = "registry_notifications_pending", "Events that wait for an endpoint, on all nodes."
            registry.register(_Gauge(name, text, "endpoint", self._pending.found))
        if self._adopted is not None and self._adopted.found:
            name, text = "registry_adoption_repositories", "Repositories of link files, by how far their adoption is."
            registry.register(_Gauge(name, text, "state", self._adopted.found))
        return bytes(generate_latest(registry))


class _Counted:
    """Numbers that are counted anew from time to time, by one question at a time, however long that takes."""

    def __init__(self, count: Counts) -> None:
        self.found: Mapping[str, int] = {}
        self._ask = count
        self._question = Question(self._look)

    async def count(self) -> None:
        """Count; nothing is found if that takes too long, and the count may still go on."""
        try:
            await self._question.put(_DEADLINE_S)
        except (BackendError, TimeoutError) as exc:
            self.found = {}
            _log.warning("rows could not be counted for metrics", error=str(exc))

    async def _look(self) -> None:
        self.found = await self._ask()


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        """Source: GitLab features MET-033."""
        family = GaugeMetricFamily("gitlab_build_info", "The version that runs.", labels=["version", "product"])
        family.add_metric([__version__, "moorage"], 1)
        yield family


class _Gauge(Collector):
    """Numbers by one label."""

    def __init__(self, name: str, text: str, label: str, counts: Mapping[str, int]) -> None:
        self._family = GaugeMetricFamily(name, text, labels=[label])
        for value, count in counts.items():
            self._family.add_metric([value], count)

    def collect(self) -> Iterable[Metric]:
        yield self._family
