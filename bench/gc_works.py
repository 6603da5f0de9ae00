"""What is measured of online garbage collection: how fast a backlog goes, and what pulls feel of it meanwhile."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import client
import load
import seeding
from content import KIB
from figures import AtMost, Figure, Series, percentile
from load import LoadError
from stage import Stage
from subjects import Daemon

MILLION = 1_000_000
HOUR_S = 3600
WORSE_LIMIT = 1.2
CONNECTIONS = 4
"""The kernel shares connections out among the workers by their ports: in one round of eight all four are with one of
two. Each round opens them anew, and medians of rounds are compared."""
PULLED_BLOBS = 16
DEAD_BYTES = KIB
BEGIN_S = 240
"""How long the collector may take to begin: it looks at its queue ever more seldom while that is empty."""
END_S = 1200
POLL_S = 0.5


def drain(stage: Stage) -> list[Figure]:
    """Blobs that nothing needs, on disk and due, while an image is pulled all the time."""
    count = stage.plan.dead_blobs
    title = f"{count:,} dead blobs are collected while an image is pulled"
    found = []
    for subject in stage.databases:
        with stage.running(subject) as (daemon,):
            pulls = _pulls(stage, daemon)
            stage.say(f"{title}, {subject.store}: pulls alone")
            quiet_ms = [pulls() for _ in range(stage.plan.rounds + 1)][1:]
            stage.say(f"{title}, {subject.store}: writing them")
            seeding.seed_dead_blobs(daemon.sink(), daemon.folder / "data", count, DEAD_BYTES)
            stage.say(f"{title}, {subject.store}: waiting for the collector")
            left, deadline = count, time.monotonic() + BEGIN_S
            while left == count:
                _check(deadline, f"{subject.store}: the collector does not begin")
                left = daemon.sink().waiting_blobs()
            began, at_first, busy_ms, cpu_s = time.monotonic(), left, [], daemon.cpu_s()
            while left:
                _check(began + END_S, f"{subject.store}: {left} blobs are left")
                stage.say(f"{title}, {subject.store}: {left} left")
                latency_ms = pulls()
                left = daemon.sink().waiting_blobs()
                if left:  # Else it ended meanwhile.
                    busy_ms.append(latency_ms)
            took_s, cpu_s = time.monotonic() - began, daemon.cpu_s() - cpu_s
            quiet_ms += [pulls() for _ in range(stage.plan.rounds)]
            _check_gone(daemon)
        hour = Series("s for 1,000,000 at this rate", [], [took_s * MILLION / at_first])
        more = [Series("blobs/s", [], [at_first / took_s], is_higher_better=True)]
        more += [Series("CPU s of pulls and collector", [], [cpu_s])]
        worse = Series("p99 of pulls meanwhile / before and after", [], [_median(busy_ms) / _median(quiet_ms)])
        levels = [Series("ms, p99, before and after", [], quiet_ms), Series("ms, p99, meanwhile", [], busy_ms)]
        found += [
            Figure(work="gc", title=title, store=subject.store, judged=hour, target=AtMost(HOUR_S), others=more),
            Figure(
                work="gc", title=title, store=subject.store, judged=worse, target=AtMost(WORSE_LIMIT), others=levels
            ),
        ]
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"gc": drain}


def _pulls(stage: Stage, daemon: Daemon) -> Callable[[], float]:
    """Pulls of an image over several connections for a while; the p99 of an answer in milliseconds."""
    blobs = stage.pool.blobs(PULLED_BLOBS, 64 * KIB, step=64 * KIB)
    client.prepare_blobs(daemon, blobs)
    client.prepare_manifest(daemon, client.image_manifest(blobs[0], blobs[1:]))
    asked = [("pull", client.manifest_path(client.TAG)), *[("pull", client.blob_path(blob)) for blob in blobs]]

    def run() -> float:
        latencies_s: defaultdict[str, list[float]] = defaultdict(list)
        until = time.monotonic() + stage.plan.load_s
        load.run(daemon.address, list(_scripts(asked, latencies_s, until)))
        return 1000 * percentile(latencies_s["pull"], 0.99)

    return run


def _scripts(
    asked: Sequence[tuple[str, str]], latencies_s: Mapping[str, list[float]], until: float
) -> Iterator[load.Script]:
    for connection in range(CONNECTIONS):
        start = connection * len(asked) // CONNECTIONS
        yield client.timed([*asked[start:], *asked[:start]], latencies_s, until=until)


def _median(values: Sequence[float]) -> float:
    if not values:
        msg = "the collector ended before pulls could be measured"
        raise LoadError(msg)
    return statistics.median(values)


def _check(deadline: float, complaint: str) -> None:
    if time.monotonic() > deadline:
        raise LoadError(complaint)
    time.sleep(POLL_S)


def _check_gone(daemon: Daemon) -> None:
    left = sum(1 for _ in seeding.dead_blob_files(daemon.folder / "data"))
    if left:
        msg = f"{daemon.subject.store}: the queue is empty, and {left} dead blobs are on disk"
        raise LoadError(msg)
