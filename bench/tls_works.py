"""What is measured over HTTPS: pulls of many blobs and of a large one, and a push; nginx's pulls are the floor.

Distribution 3 and GitLab's registry take part where they are on PATH.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import client
import load
import tls
from content import GIB, MIB
from figures import Figure, TimesBetter
from load import Load
from stage import Act, Rounds, Sample, Stage
from subjects import Daemon

PULL_CONNECTIONS = 8
PULLED_BLOBS = 64
PULL_S = 1
"""Seconds of each round of pulls."""
ROUNDS = 3
"""Fewer than elsewhere, and shorter: up to five servers are measured, in a minute and a half."""
LARGE_BYTES = 256 * MIB

NGINX_TIMES = 1 / 1.1
"""A pull may cost at most 1.1 times what it costs nginx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    work: str
    title: str
    unit: str
    value: Callable[[Sample], float]
    debian_times: float
    times: float
    """How many times cheaper it is to be than at the other registries."""


def _per_request(sample: Sample) -> float:
    return 1e6 * sample.cpu_s / sample.count


def _per_gib(sample: Sample) -> float:
    return sample.cpu_s / sample.count / (LARGE_BYTES / GIB)


_MANY = _Row(
    work="tls-pull",
    title="pull 1 MiB blobs over TLS",
    unit="CPU µs/request",
    value=_per_request,
    debian_times=2,
    times=1.1,
)
_ONE = _Row(
    work="tls-pull",
    title="pull a 256 MiB blob over TLS",
    unit="CPU s/GiB",
    value=_per_gib,
    debian_times=2,
    times=1,
)
_PUSH = _Row(
    work="tls-push",
    title="push a 256 MiB blob in one PATCH over TLS",
    unit="CPU s/GiB",
    value=_per_gib,
    debian_times=1.1,
    times=1.1,
)


def tls_pull(stage: Stage) -> list[Figure]:
    """GET of 64 blobs of 1 MiB, over and over, and of one of 256 MiB."""
    stage = _short(stage)
    blobs, large = stage.pool.blobs(PULLED_BLOBS, MIB, step=MIB), stage.pool.blob(LARGE_BYTES)
    paths = [client.blob_path(blob) for blob in blobs]
    subjects = [tls.MoorageWithTLS(stage.workers), tls.DockerRegistryWithTLS(), *tls.peers()]
    subjects += [tls.Nginx(stage.workers, has_tls=True)] if tls.NGINX else []

    def many(daemon: Daemon, _: int) -> Load:
        return load.wrk(
            daemon.address,
            paths[0],
            seconds=min(PULL_S, stage.plan.load_s),
            connections=PULL_CONNECTIONS,
            headers=[],
            scheme="https",
            others=paths[1:],
        )

    def one(daemon: Daemon, _: int) -> Load:
        began = time.perf_counter()
        tls.pull(daemon, client.blob_path(large))
        return Load(1, time.perf_counter() - began)

    with stage.running(*subjects) as daemons:
        for daemon in daemons:
            tls.prepare_blobs(daemon, [*blobs, large])
        return [*_figures(_MANY, stage, daemons, many), *_figures(_ONE, stage, daemons, one)]


def tls_push(stage: Stage) -> list[Figure]:
    """Push of 256 MiB in one PATCH. Each round has another blob; all servers get the same."""
    stage = _short(stage)
    blobs = stage.pool.blobs(stage.plan.rounds + 1, LARGE_BYTES)

    def push(daemon: Daemon, number: int) -> Load:
        began = time.perf_counter()
        tls.push(daemon, blobs[number])
        return Load(1, time.perf_counter() - began)

    with stage.running(tls.MoorageWithTLS(stage.workers), tls.DockerRegistryWithTLS(), *tls.peers()) as daemons:
        return _figures(_PUSH, stage, daemons, push)


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"tls-pull": tls_pull, "tls-push": tls_push}


def _short(stage: Stage) -> Stage:
    return replace(stage, plan=replace(stage.plan, rounds=min(ROUNDS, stage.plan.rounds)))


def _figures(row: _Row, stage: Stage, daemons: Sequence[Daemon], act: Act) -> list[Figure]:
    """Measure Moorage, which is the first of *daemons*, against each of the others: docker-registry is the next."""
    ours, *others = stage.samples(row.title, daemons, act)
    found = []
    for daemon, side in zip(daemons[1:], others, strict=True):
        is_debian = daemon is daemons[1]
        times = NGINX_TIMES if isinstance(daemon.subject, tls.Nginx) else row.debian_times if is_debian else row.times
        judged = Rounds(side, ours).series(row.unit, row.value)
        against = "" if is_debian else daemon.subject.name
        found.append(Figure(work=row.work, title=row.title, against=against, judged=judged, target=TimesBetter(times)))
    return found
