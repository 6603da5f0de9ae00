"""What is measured of pulls, pushes, memory and the start: one function a work, each giving its figures."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import client
import load
import tls
from content import GIB, KIB, MIB, Blob
from figures import AtMost, Figure, Series, TimesBetter
from load import Load
from stage import Pair, Rounds, Sample, Stage
from subjects import Daemon, running

CONNECTIONS = 16
PULL_CONNECTIONS = 8
PULLED_BLOBS = 64
MANIFEST_LAYERS = 9

PUSH_CONNECTIONS = 200
PUSH_BYTES = 100 * KIB
PUSHES_PER_S = 6000
"""More than any server here manages: so many blobs are ready for a round."""

CROWD = 100

CPU_LIMIT_US = 90
"""What a manifest may cost Moorage itself, with its metadata in PostgreSQL."""

NGINX_TIMES = 3
"""So many times what a file costs nginx, without its log, a manifest may cost with a line in ours."""

DEFAULT_STORE = "SQLite"

START_LIMIT_MS = 450
MEMORY_LIMIT_MIB = 150


def manifests(stage: Stage) -> list[Figure]:
    """GET and HEAD of a manifest, by tag and by digest."""
    blobs = stage.pool.blobs(MANIFEST_LAYERS + 1, 4 * KIB)
    payload = client.image_manifest(blobs[0], blobs[1:])
    by_tag, by_digest = client.manifest_path(client.TAG), client.manifest_path(client.digest_of(payload))

    def get(path: str) -> Callable[[Daemon, int], Load]:
        seconds = stage.plan.load_s
        return lambda daemon, _: load.wrk(
            daemon.address, path, seconds=seconds, connections=CONNECTIONS, headers=[client.ACCEPT]
        )

    def head(path: str) -> Callable[[Daemon, int], Load]:
        # wrk waits for the body that an answer to HEAD announces and does not have.
        return lambda daemon, _: _repeat(stage, daemon, [[path]] * CONNECTIONS, client.ACCEPT, method="HEAD")

    kinds = [
        ("HEAD manifest by tag", head(by_tag)),
        ("GET manifest by digest", get(by_digest)),
        ("HEAD manifest by digest", head(by_digest)),
    ]
    size = f"({len(payload) / 1000:.1f} kB)"
    floor = [tls.Nginx(stage.workers, has_tls=False)] if tls.NGINX and stage.stores else []
    with stage.running(stage.reference, stage.candidate, *stage.stores[1:], *floor) as daemons:
        registries = daemons[: len(daemons) - len(floor)]
        for daemon in registries:
            client.prepare_blobs(daemon, blobs)
            client.prepare_manifest(daemon, payload)
        for daemon in daemons[len(registries) :]:
            tls.leave(daemon, {by_tag: payload})
        title = "GET manifest by tag"
        sides = stage.samples(title, daemons, get(by_tag))
        found = _by_store(f"{title} {size}", registries, sides[: len(registries)])
        found += [_against_nginx(f"{title} {size}", side, sides[1]) for side in sides[len(registries) :]]
        for title, act in kinds:
            rounds = stage.measure(title, Pair(*registries[:2]), act)
            found.append(_per_request("manifests", f"{title} {size}", rounds, times=15))
        return found


def pull_small(stage: Stage) -> list[Figure]:
    """GET of 64 blobs of 1 MiB, over and over."""
    blobs = stage.pool.blobs(PULLED_BLOBS, MIB, step=MIB)
    paths = [client.blob_path(blob) for blob in blobs]
    # Each connection begins with another blob.
    shifted = [paths[start:] + paths[:start] for start in range(0, PULLED_BLOBS, PULLED_BLOBS // PULL_CONNECTIONS)]
    with stage.pair() as pair:
        for daemon in (pair.reference, pair.candidate):
            client.prepare_blobs(daemon, blobs)
        title = "pull 1 MiB blobs"
        rounds = stage.measure(title, pair, lambda daemon, _: _repeat(stage, daemon, shifted))
    return [_per_request("pull-small", title, rounds, times=8)]


def pull_large(stage: Stage) -> list[Figure]:
    """GET of a large blob, whole and half of it."""
    size, times = stage.plan.large_bytes, stage.plan.large_pulls
    blob = stage.pool.blob(size)
    path = client.blob_path(blob)
    half = f"Range: bytes={size // 4}-{size // 4 + size // 2 - 1}"

    def whole_blob(daemon: Daemon, _: int) -> Load:
        return load.run(daemon.address, [client.pull([path], times=times)])

    def half_blob(daemon: Daemon, _: int) -> Load:
        return load.run(daemon.address, [client.pull([path], half, status=206, times=2 * times)])

    with stage.pair() as pair:
        for daemon in (pair.reference, pair.candidate):
            client.prepare_blobs(daemon, [blob])
        whole, ranged = f"pull a {_size(size)} blob", f"pull a Range of half of a {_size(size)} blob"
        return [
            _per_gib("pull-large", whole, stage.measure(whole, pair, whole_blob), size_bytes=size, times=2),
            _per_gib("pull-large", ranged, stage.measure(ranged, pair, half_blob), size_bytes=size // 2, times=2),
        ]


def push_large(stage: Stage) -> list[Figure]:
    """Push of a large blob in one PATCH. Each round has another blob; both servers get the same."""
    size = stage.plan.large_bytes
    blobs = stage.pool.blobs(stage.plan.rounds + 1, size)
    title = f"push a {_size(size)} blob in one PATCH"
    with stage.pair() as pair:
        rounds = stage.measure(
            title, pair, lambda daemon, number: load.run(daemon.address, [client.push([blobs[number]])])
        )
    return [_per_gib("push-large", title, rounds, size_bytes=size, times=1.8)]


def pushes_of_small_blobs(stage: Stage, *, connections: int, at_most_per_s: int) -> Callable[[Daemon, int], Load]:
    """Return what pushes 100 KiB blobs to a server in a round; the same blobs to each, other ones in each round."""
    count = at_most_per_s * stage.plan.load_s
    rounds_of_blobs: list[Sequence[Blob]] = []

    def act(daemon: Daemon, number: int) -> Load:
        while number >= len(rounds_of_blobs):
            rounds_of_blobs.append(stage.pool.blobs(count, PUSH_BYTES, step=PUSH_BYTES // 2 + 1))
        shared = iter(rounds_of_blobs[number])
        until = time.monotonic() + stage.plan.load_s
        return load.run(daemon.address, [client.push(shared, until=until) for _ in range(connections)])

    return act


def push_small(stage: Stage) -> list[Figure]:
    """Pushes of 100 KiB blobs over 200 connections, each by POST, PATCH and PUT. All blobs differ."""
    title = f"push 100 KiB blobs, {PUSH_CONNECTIONS} connections"
    act = pushes_of_small_blobs(stage, connections=PUSH_CONNECTIONS, at_most_per_s=PUSHES_PER_S)
    with stage.running(stage.reference, stage.candidate, *stage.stores[1:]) as daemons:
        peer, *ours = stage.samples(title, daemons, act)
    found = []
    for daemon, samples in zip(daemons[1:], ours, strict=True):
        rounds = Rounds(peer, samples)
        judged = rounds.series("pushes/s", _rate, is_higher_better=True)
        others = [rounds.series("CPU µs/push", _cpu_us), *_database_cpu(daemon, samples, "push")]
        store = daemon.subject.store
        figure = Figure(
            work="push-small", title=title, store=store, judged=judged, target=TimesBetter(5), others=others
        )
        found.append(figure)
    return found


def memory(stage: Stage) -> list[Figure]:
    """The peak memory of a worker under many pushes at once, and under one very large. The candidate only."""
    crowd, lone = stage.plan.crowd_bytes, stage.plan.lone_bytes
    return [
        _peak_memory(stage, f"worker memory, {CROWD} clients push {_size(crowd)} each", CROWD, crowd),
        _peak_memory(stage, f"worker memory, one client pushes {_size(lone)}", 1, lone),
    ]


def start(stage: Stage) -> list[Figure]:
    """From the start of the process to the first 200 on ``/v2/``, with an empty folder."""
    subjects = [stage.reference, *(stage.stores or [stage.candidate])]
    times_ms: Mapping[str, list[float]] = {subject.store: [] for subject in subjects}
    for number in range(stage.plan.rounds + 1):
        stage.say(f"start: {f'round {number} of {stage.plan.rounds}' if number else 'warming up'}")
        for subject in subjects:
            with running(subject, stage.scratch) as daemon:
                if number:
                    times_ms[subject.store].append(1000 * daemon.start_s)
    target = AtMost(START_LIMIT_MS)
    return [
        Figure(
            work="start",
            title="start to first answer",
            store=subject.store,
            judged=Series("ms", times_ms[stage.reference.store], times_ms[subject.store]),
            target=target,
        )
        for subject in subjects[1:]
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {
    "manifests": manifests,
    "pull-small": pull_small,
    "pull-large": pull_large,
    "push-large": push_large,
    "push-small": push_small,
    "memory": memory,
    "start": start,
}


def _by_store(title: str, daemons: Sequence[Daemon], sides: Sequence[Sequence[Sample]]) -> list[Figure]:
    """The figures of a manifest by its tag; the reference is the first of *daemons*."""
    found = []
    by_store = {daemon.subject.store: samples for daemon, samples in zip(daemons, sides, strict=True)}
    for daemon, samples in zip(daemons[1:], sides[1:], strict=True):
        store, rounds = daemon.subject.store, Rounds(sides[0], samples)
        figure = _per_request("manifests", title, rounds, times=15, store=store)
        if store == "PostgreSQL":
            others = [*figure.others, *_database_cpu(daemon, samples, "request")]
            figure = dataclasses.replace(figure, target=AtMost(CPU_LIMIT_US), others=others)
        found.append(figure)
    if "layout" in by_store:
        judged = Rounds(by_store["layout"], by_store["SQLite"]).series("CPU µs/request", _cpu_us)
        target = TimesBetter(1)
        compared = Figure(work="manifests", title=title, store="SQLite", against="layout", judged=judged, target=target)
        found.append(compared)
    return found


def _against_nginx(title: str, floor: Sequence[Sample], samples: Sequence[Sample]) -> Figure:
    """The figure of a manifest against the same bytes in a file."""
    judged = Rounds(floor, samples).series("CPU µs/request", _cpu_us)
    target = TimesBetter(1 / NGINX_TIMES)
    return Figure(work="manifests", title=title, store=DEFAULT_STORE, against="nginx", judged=judged, target=target)


def _database_cpu(daemon: Daemon, samples: Sequence[Sample], what: str) -> list[Series]:
    if daemon.subject.database is None:
        return []
    return [Series(f"CPU µs/{what} of PostgreSQL", [], [1e6 * each.database_cpu_s / each.count for each in samples])]


def _repeat(stage: Stage, daemon: Daemon, paths: Sequence[Sequence[str]], *headers: str, method: str = "GET") -> Load:
    until = time.monotonic() + stage.plan.load_s
    scripts = [client.pull(some, *headers, method=method, until=until) for some in paths]
    return load.run(daemon.address, scripts)


def _peak_memory(stage: Stage, title: str, clients: int, size_bytes: int) -> Figure:
    stage.say(title)
    blobs = stage.pool.blobs(clients, size_bytes)
    with running(stage.candidate, stage.scratch) as daemon:
        idle_mib = daemon.peak_memory_bytes() / MIB
        done = load.run(daemon.address, [client.push([blob]) for blob in blobs])
        peak_mib = daemon.peak_memory_bytes() / MIB
    others = [
        Series("MiB before the first push", [], [idle_mib]),
        Series("MiB/s", [], [clients * size_bytes / MIB / done.wall_s], is_higher_better=True),
    ]
    judged = Series("MiB at most", [], [peak_mib])
    target = AtMost(MEMORY_LIMIT_MIB)
    return Figure(work="memory", title=title, store=DEFAULT_STORE, judged=judged, target=target, others=others)


def _per_request(work: str, title: str, rounds: Rounds, *, times: float, store: str = DEFAULT_STORE) -> Figure:
    rate = rounds.series("requests/s", _rate, is_higher_better=True)
    judged = rounds.series("CPU µs/request", _cpu_us)
    target = TimesBetter(times)
    return Figure(work=work, title=title, store=store, judged=judged, target=target, others=[rate])


def _per_gib(work: str, title: str, rounds: Rounds, *, size_bytes: int, times: float) -> Figure:
    gib = size_bytes / GIB
    wall = rounds.series("s/GiB", lambda sample: sample.wall_s / sample.count / gib)
    judged = rounds.series("CPU s/GiB", lambda sample: sample.cpu_s / sample.count / gib)
    target = TimesBetter(times)
    return Figure(work=work, title=title, store=DEFAULT_STORE, judged=judged, target=target, others=[wall])


def _rate(sample: Sample) -> float:
    return sample.count / sample.wall_s


def _cpu_us(sample: Sample) -> float:
    return 1e6 * sample.cpu_s / sample.count


def _size(size_bytes: int) -> str:
    return f"{size_bytes // GIB} GiB" if size_bytes % GIB == 0 else f"{size_bytes // MIB} MiB"
