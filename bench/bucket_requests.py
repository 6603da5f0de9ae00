"""What is counted over a bucket: the requests that reach it, by a relay between it and the registry."""

import dataclasses
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus

import bucket
import client
import load
from bucket import Bucket, DockerRegistryOnBucket, MoorageOnBucket
from bucket_works import push_put
from content import KIB, Blob
from figures import AtMost, Figure, Series
from load import LoadError, Script, expect, request
from stage import Stage
from subjects import Daemon, Subject, environment, running
from wire import Relay, relaying

SMALL_BYTES = 2 * KIB
COUNTED = 20
"""How often each request is made whose requests to the bucket are counted."""
CONNECTIONS = 16
REQUESTS_PER_S = 350
"""What the registries allow themselves towards a bucket, by default."""
MILLION = 1_000_000

Asked = Callable[[Blob], Script]
Made = Callable[[Bucket], Subject]


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """A bucket, the relay before it, and the bucket as it is reached through that."""

    stage: Stage
    bucket: Bucket
    relay: Relay

    @property
    def relayed(self) -> Bucket:
        """The bucket behind the relay."""
        return Bucket(self.relay.port)

    def per_script(self, daemon: Daemon, scripts: Sequence[Script]) -> float:
        """Requests to the bucket for each of *scripts*, one after another."""
        before = self.relay.round_trips
        for script in scripts:
            load.run(daemon.address, [script])
        time.sleep(0.1)  # What is done after the answer counts as well.
        return (self.relay.round_trips - before) / len(scripts)


def requests(stage: Stage) -> list[Figure]:
    """How many requests to the bucket a request to the registry makes."""
    with bucket.serving(stage.scratch) as served, relaying(served.port) as relay:
        counted = Counted(stage, served, relay)
        return [
            *_pushes(counted),
            *_manifests(counted, is_cached=False, limit=3),
            *_manifests(counted, is_cached=True, limit=1),
        ]


def collection(stage: Stage) -> list[Figure]:
    """Offline collection: requests to the bucket for each object that is removed, and what that makes of a million."""
    count = stage.plan.dead_blobs // 20
    title = f"garbage-collect over a bucket, {count:,} dead blobs"
    blobs = stage.pool.blobs(count, SMALL_BYTES, step=SMALL_BYTES)
    stage.say(title)
    with bucket.serving(stage.scratch) as served, relaying(served.port) as relay:
        counted = Counted(stage, served, relay)
        theirs = _collected(counted, DockerRegistryOnBucket, blobs)
        ours = _collected(counted, lambda where: MoorageOnBucket(stage.workers, where), blobs)
    hours = [each * MILLION / REQUESTS_PER_S / 3600 for each, _ in (theirs, ours)]
    judged = Series(f"h for a million at {REQUESTS_PER_S} requests/s", hours[:1], hours[1:])
    others = [Series("requests/blob", [theirs[0]], [ours[0]]), Series("s", [theirs[1]], [ours[1]])]
    return [
        Figure(work="bucket-gc", title=title, store="layout", judged=judged, target=AtMost(2), others=others),
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"bucket-requests": requests, "bucket-gc": collection}


def _pushes(counted: Counted) -> Iterator[Figure]:
    kinds: list[tuple[str, Asked, int]] = [
        ("push 2 KiB, POST PATCH PUT", lambda blob: client.push([blob]), 7),
        ("push 2 KiB, POST PUT", lambda blob: push_put([blob], []), 5),
        ("HEAD blob", _head, 2),
    ]
    counts: list[list[float]] = []
    stage = counted.stage
    for subject in (DockerRegistryOnBucket(counted.relayed), MoorageOnBucket(1, counted.relayed)):
        with running(subject, stage.scratch) as daemon:
            pools = [stage.pool.blobs(COUNTED, SMALL_BYTES, step=SMALL_BYTES) for _ in kinds]
            load.run(daemon.address, [client.push(pools[-1])])
            side = [
                counted.per_script(daemon, [ask(blob) for blob in blobs])
                for (_, ask, _), blobs in zip(kinds, pools, strict=True)
            ]
            counts.append(side)
    for (title, _, limit), theirs, ours in zip(kinds, *counts, strict=True):
        yield _figure(title, "layout", [theirs, ours], limit=limit)


def _head(blob: Blob) -> Script:
    """Ask for a blob by HEAD, which the peer answers by a redirect."""
    answer = yield request("HEAD", client.blob_path(blob))
    if answer.status != HTTPStatus.TEMPORARY_REDIRECT:
        expect(answer, HTTPStatus.OK)
    return 1


def _manifests(counted: Counted, *, is_cached: bool, limit: int) -> Iterator[Figure]:
    title = f"GET manifest by tag, {'with' if is_cached else 'without'} a cache"
    stage, counts = counted.stage, {}
    subjects: list[Subject] = [
        DockerRegistryOnBucket(counted.relayed, is_cached=is_cached),
        MoorageOnBucket(1, counted.relayed, is_cached=is_cached),
        MoorageOnBucket(1, counted.relayed, is_cached=is_cached, store="SQLite"),
    ]
    blobs = stage.pool.blobs(2, SMALL_BYTES)
    payload = client.image_manifest(blobs[0], blobs[1:])
    path = [client.manifest_path(client.TAG)]
    for subject in subjects:
        with running(subject, stage.scratch) as daemon:
            load.run(daemon.address, [client.push(blobs)])
            client.prepare_manifest(daemon, payload)
            load.run(daemon.address, [client.pull(path, client.ACCEPT, times=1)])  # A cache is filled.
            scripts = [client.pull(path, client.ACCEPT, times=1) for _ in range(COUNTED)]
            counts[subject.store] = counted.per_script(daemon, scripts)
    for store, at_most in (("layout", limit), ("SQLite", 0)):
        yield _figure(title, store, [counts[""], counts[store]], limit=at_most)


def _figure(title: str, store: str, counts: Sequence[float], *, limit: int) -> Figure:
    judged = Series("requests to the bucket", counts[:1], counts[1:])
    return Figure(work="bucket-requests", title=title, store=store, judged=judged, target=AtMost(limit))


def _collected(counted: Counted, made: Made, blobs: Sequence[Blob]) -> tuple[float, float]:
    """Requests for each blob, and seconds, of one collection."""
    with running(made(counted.bucket), counted.stage.scratch) as daemon:
        # What is pushed by a client and named by no manifest is dead.
        load.run(daemon.address, [client.push(blobs[start::CONNECTIONS]) for start in range(CONNECTIONS)])
        folder = daemon.folder / "collecting" / daemon.folder.name  # Its name is the prefix in the bucket.
        folder.mkdir(parents=True)
        program = made(counted.relayed).command(daemon.address, folder)
        command = [*program[: program.index("serve")], "garbage-collect", "-m", str(folder / "config.yml")]
        daemon.process.terminate()
        daemon.process.wait(bucket.STOP_S)
        before, began = counted.relay.round_trips, time.monotonic()
        ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), check=False)
        if ended.returncode:
            msg = f"{command!r}: {ended.stdout[-1000:]}{ended.stderr[-1000:]}"
            raise LoadError(msg)
        return (counted.relay.round_trips - before) / len(blobs), time.monotonic() - began
