"""What is measured over HTTPS: pulls of many blobs and of a large one, and a push; nginx's pulls are the floor."""

import time
from collections.abc import Callable, Mapping, Sequence

import client
import load
import tls
from content import GIB, MIB
from figures import Figure, TimesBetter
from load import Load
from stage import Rounds, Sample, Stage
from subjects import Daemon

PULL_CONNECTIONS = 8
PULLED_BLOBS = 64
LARGE_BYTES = 256 * MIB
LARGE_PULLS = 2

NGINX_TIMES = 1 / 1.1
"""A pull may cost at most 1.1 times what it costs nginx."""


def tls_pull(stage: Stage) -> list[Figure]:
    """GET of 64 blobs of 1 MiB, over and over, and of one of 256 MiB."""
    blobs, large = stage.pool.blobs(PULLED_BLOBS, MIB, step=MIB), stage.pool.blob(LARGE_BYTES)
    paths = [client.blob_path(blob) for blob in blobs]
    subjects = [tls.DockerRegistryWithTLS(), tls.MoorageWithTLS(stage.workers)]
    subjects += [tls.Nginx(stage.workers, has_tls=True)] if tls.NGINX else []

    def many(daemon: Daemon, _: int) -> Load:
        return load.wrk(
            daemon.address,
            paths[0],
            seconds=stage.plan.load_s,
            connections=PULL_CONNECTIONS,
            headers=[],
            scheme="https",
            others=paths[1:],
        )

    def one(daemon: Daemon, _: int) -> Load:
        began = time.perf_counter()
        tls.pull(daemon, client.blob_path(large), LARGE_PULLS)
        return Load(LARGE_PULLS, time.perf_counter() - began)

    with stage.running(*subjects) as daemons:
        for daemon in daemons:
            tls.prepare_blobs(daemon, [*blobs, large])
        title = "pull 1 MiB blobs over TLS"
        found = _figures("tls-pull", title, stage.samples(title, daemons, many), _per_request, times=2)
        title = "pull a 256 MiB blob over TLS"
        return [*found, *_figures("tls-pull", title, stage.samples(title, daemons, one), _per_gib, times=2)]


def tls_push(stage: Stage) -> list[Figure]:
    """Push of 256 MiB in one PATCH. Each round has another blob; both servers get the same."""
    blobs = stage.pool.blobs(stage.plan.rounds + 1, LARGE_BYTES)
    title = "push a 256 MiB blob in one PATCH over TLS"

    def push(daemon: Daemon, number: int) -> Load:
        began = time.perf_counter()
        tls.push(daemon, blobs[number])
        return Load(1, time.perf_counter() - began)

    with stage.running(tls.DockerRegistryWithTLS(), tls.MoorageWithTLS(stage.workers)) as daemons:
        return _figures("tls-push", title, stage.samples(title, daemons, push), _per_gib, times=1.1)


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"tls-pull": tls_pull, "tls-push": tls_push}

_Measure = tuple[str, Callable[[Sample], float]]


def _figures(
    work: str, title: str, sides: Sequence[Sequence[Sample]], measure: _Measure, *, times: float
) -> list[Figure]:
    """The figures against docker-registry, which is the first of *sides*, and against nginx if it is the last."""
    peer, ours, *floor = sides
    unit, value = measure
    found = [Figure(work=work, title=title, judged=Rounds(peer, ours).series(unit, value), target=TimesBetter(times))]
    if floor:
        judged = Rounds(floor[0], ours).series(unit, value)
        found.append(Figure(work=work, title=title, against="nginx", judged=judged, target=TimesBetter(NGINX_TIMES)))
    return found


_per_request: _Measure = ("CPU µs/request", lambda sample: 1e6 * sample.cpu_s / sample.count)
_per_gib: _Measure = ("CPU s/GiB", lambda sample: sample.cpu_s / sample.count / (LARGE_BYTES / GIB))
