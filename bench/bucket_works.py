"""What is measured over a bucket: pushes, pulls, redirects and memory."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import bucket
import client
import load
from bucket import DockerRegistryOnBucket, MoorageOnBucket
from content import GIB, KIB, MIB, Blob
from figures import AtMost, Figure, Series, Target, TimesBetter
from load import Load, Script, expect, request
from stage import Act, Pair, Rounds, Sample, Stage
from subjects import Daemon, running

CONNECTIONS = 16
CROWD = 100
LARGE_BYTES = 256 * MIB
"""Of a large blob: SeaweedFS copies a GiB in half a minute, so that the whole work would take a quarter of an hour."""
ROUNDS = 3
"""Of large blobs, for the same reason."""


def push_large(stage: Stage) -> list[Figure]:
    """Push of a large blob, its digest said last and first, and the time that is left after its last byte."""
    stage, size = _short(stage), LARGE_BYTES
    kinds: list[tuple[str, Callable[[Iterable[Blob], list[float]], Script]]] = [
        ("POST PATCH PUT", _push_patched),
        ("POST PUT", push_put),
    ]
    blobs = stage.pool.blobs((stage.plan.rounds + 1) * len(kinds), size)
    found = []
    with _pair(stage) as pair:
        for number, (how, push) in enumerate(kinds):
            own = blobs[number :: len(kinds)]
            title = f"push a {_size(size)} blob to a bucket, {how}"
            rounds = stage.measure(title, pair, _act(push, own))
            cpu = rounds.series("CPU s/GiB", lambda sample: sample.cpu_s * GIB / size)
            wall = rounds.series("s/GiB", lambda sample: sample.wall_s * GIB / size)
            last = rounds.series("s after the last byte", lambda sample: sample.latencies_s["last"][0])
            found += [
                _figure("bucket-push", title, cpu, target=TimesBetter(1.5), others=[wall]),
                _figure("bucket-push", title, last, target=TimesBetter(4)),
            ]
    return found


def pulls(stage: Stage) -> list[Figure]:
    """GET of a blob by a redirect, and through the registry."""
    stage, size, times = _short(stage), LARGE_BYTES, stage.plan.large_pulls
    [large], [small] = stage.pool.blobs(1, size), stage.pool.blobs(1, MIB)
    found = []
    with _pair(stage) as pair:
        for daemon in (pair.reference, pair.candidate):
            load.run(daemon.address, [client.push([small])])
        title = "GET blob, answered by a redirect to a bucket"
        rounds = stage.measure(title, pair, lambda daemon, _: _wrk(stage, daemon, client.blob_path(small)))
        found.append(_per_request("bucket-pull", title, rounds, TimesBetter(3)))
    with _pair(stage, redirects=False) as pair:
        for daemon in (pair.reference, pair.candidate):
            client.prepare_blobs(daemon, [large])
        title = f"pull a {_size(size)} blob from a bucket through the registry"
        pull = [client.blob_path(large)]
        rounds = stage.measure(
            title, pair, lambda daemon, _: load.run(daemon.address, [client.pull(pull, times=times)])
        )
        cpu = rounds.series("CPU s/GiB", lambda sample: sample.cpu_s / sample.count * GIB / size)
        wall = rounds.series("s/GiB", lambda sample: sample.wall_s / sample.count * GIB / size)
        found.append(_figure("bucket-pull", title, cpu, target=TimesBetter(1), others=[wall]))
    return found


def manifests(stage: Stage) -> list[Figure]:
    """GET of a manifest by its tag, from link files in a bucket."""
    blobs = stage.pool.blobs(2, 4 * KIB)
    payload = client.image_manifest(blobs[0], blobs[1:])
    path = client.manifest_path(client.TAG)
    found = []
    for is_cached, times in ((False, 1.9), (True, 3)):
        with _pair(stage, is_cached=is_cached) as pair:
            for daemon in (pair.reference, pair.candidate):
                load.run(daemon.address, [client.push(blobs)])
                client.prepare_manifest(daemon, payload)
            title = f"GET manifest by tag from a bucket, {'with' if is_cached else 'without'} a cache"
            rounds = stage.measure(title, pair, lambda daemon, _: _wrk(stage, daemon, path, client.ACCEPT))
            found.append(_per_request("bucket-manifests", title, rounds, TimesBetter(times)))
    return found


def memory(stage: Stage) -> list[Figure]:
    """The peak memory of a worker while many clients push at once. The candidate only."""
    size = stage.plan.crowd_bytes
    title = f"worker memory, {CROWD} clients push {_size(size)} each to a bucket"
    stage.say(title)
    blobs = stage.pool.blobs(CROWD, size)
    with (
        bucket.serving(stage.scratch) as served,
        running(MoorageOnBucket(stage.workers, served), stage.scratch) as daemon,
    ):
        done = load.run(daemon.address, [client.push([blob]) for blob in blobs])
        peak = Series("MiB at most", [], [daemon.peak_memory_bytes() / MIB])
    rate = Series("MiB/s", [], [CROWD * size / MIB / done.wall_s], is_higher_better=True)
    return [_figure("bucket-memory", title, peak, target=AtMost(350), others=[rate])]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {
    "bucket-push": push_large,
    "bucket-pull": pulls,
    "bucket-manifests": manifests,
    "bucket-memory": memory,
}


def push_put(blobs: Iterable[Blob], waits_s: list[float]) -> Script:
    """Push each blob by POST and one PUT that says its digest before its bytes."""
    count = 0
    for blob in blobs:
        answer = yield request("POST", f"/v2/{client.REPOSITORY}/blobs/uploads/", "Content-Length: 0")
        where = _closing(expect(answer, 202).header("Location"), blob)
        headers = (f"Content-Length: {blob.size_bytes}", "Content-Type: application/octet-stream")
        ended: list[float] = []
        expect((yield request("PUT", where, *headers, body=_noting_the_end(blob, ended))), 201)
        waits_s.append(time.perf_counter() - ended[0])
        count += 1
    return count


def _push_patched(blobs: Iterable[Blob], waits_s: list[float]) -> Script:
    """Push each blob by POST, one PATCH and an empty PUT, as most clients do."""
    count = 0
    for blob in blobs:
        answer = yield request("POST", f"/v2/{client.REPOSITORY}/blobs/uploads/", "Content-Length: 0")
        where = client.local_part(expect(answer, 202).header("Location"))
        headers = (f"Content-Length: {blob.size_bytes}", "Content-Type: application/octet-stream")
        ended: list[float] = []
        answer = yield request("PATCH", where, *headers, body=_noting_the_end(blob, ended))
        where = _closing(expect(answer, 202).header("Location"), blob)
        expect((yield request("PUT", where, "Content-Length: 0")), 201)
        waits_s.append(time.perf_counter() - ended[0])
        count += 1
    return count


def _closing(location: str, blob: Blob) -> str:
    where = client.local_part(location)
    return f"{where}{'&' if '?' in where else '?'}digest={blob.digest}"


def _noting_the_end(blob: Blob, ended: list[float]) -> Iterator[memoryview]:
    yield from blob.pieces()
    ended.append(time.perf_counter())


def _act(push: Callable[[Iterable[Blob], list[float]], Script], blobs: Sequence[Blob]) -> Act:
    def act(daemon: Daemon, number: int) -> Load:
        waits_s: list[float] = []
        done = load.run(daemon.address, [push([blobs[number]], waits_s)])
        return dataclasses.replace(done, latencies_s={"last": waits_s})

    return act


@contextmanager
def _pair(stage: Stage, *, is_cached: bool = True, redirects: bool = True) -> Iterator[Pair]:
    """Both servers on one bucket, each with a prefix of its own."""
    with ExitStack() as stack:
        served = stack.enter_context(bucket.serving(stage.scratch))
        reference = DockerRegistryOnBucket(served, is_cached=is_cached, redirects=redirects)
        candidate = MoorageOnBucket(stage.workers, served, is_cached=is_cached, redirects=redirects)
        yield Pair(*(stack.enter_context(running(subject, stage.scratch)) for subject in (reference, candidate)))


def _short(stage: Stage) -> Stage:
    plan = dataclasses.replace(stage.plan, rounds=min(stage.plan.rounds, ROUNDS))
    return dataclasses.replace(stage, plan=plan)


def _wrk(stage: Stage, daemon: Daemon, path: str, *headers: str) -> Load:
    seconds = stage.plan.load_s
    return load.wrk(daemon.address, path, seconds=seconds, connections=CONNECTIONS, headers=headers)


def _per_request(work: str, title: str, rounds: Rounds, target: Target) -> Figure:
    rate = rounds.series("requests/s", lambda sample: sample.count / sample.wall_s, is_higher_better=True)
    return _figure(work, title, rounds.series("CPU µs/request", _cpu_us), target=target, others=[rate])


def _cpu_us(sample: Sample) -> float:
    return 1e6 * sample.cpu_s / sample.count


def _figure(work: str, title: str, judged: Series, *, target: Target, others: Sequence[Series] = ()) -> Figure:
    return Figure(work=work, title=title, store="layout", judged=judged, target=target, others=others)


def _size(size_bytes: int) -> str:
    return f"{size_bytes // GIB} GiB" if size_bytes >= GIB else f"{size_bytes // MIB} MiB"
