"""What is compared: one function a group of rows, each giving the rounds of every server."""

import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import client
import list_works
import load
import peers
import processes
from comparison import Row
from content import GIB, MIB, SEED, Blob
from contestants import Contestant
from load import Load, LoadError
from peers import NginxFiles
from seeding import Images
from stage import Sample, Stage
from subjects import Daemon, running
from works import CONNECTIONS, PULL_CONNECTIONS, PULLED_BLOBS, pushes_of_small_blobs

SMALL_BYTES = 1500
SMALL_BLOBS = 9
PUSH_CONNECTIONS = 8
PUSHES_PER_S = 2500
"""More than any server here manages: so many blobs are ready for a round."""
TAGS = Images(path="group/tags", tags=5000)
PAGE = 100
REST_S = 1.0
"""How long a server is let alone after its first answer, before its memory is looked at."""
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Measure(NamedTuple):
    """A row's key, title, unit, and the value of a round."""

    key: str
    title: str
    unit: str
    of: Callable[[Sample], float]
    is_higher_better: bool = False


def manifests(stage: Stage, contestants: Sequence[Contestant]) -> list[Row]:
    """GET of a manifest by tag and by digest, and of a small blob."""
    blobs = stage.pool.blobs(SMALL_BLOBS + 1, SMALL_BYTES)
    manifest = _oci_manifest(blobs)
    paths = [_at(client.TAG), _at(client.digest_of(manifest)), client.blob_path(blobs[0])]
    measures = [
        Measure("manifest-by-tag", "GET of a manifest by its tag", "CPU µs", _cpu_us),
        Measure("manifest-by-digest", "GET of a manifest by its digest", "CPU µs", _cpu_us),
        Measure("small-blob", "GET of a blob of 1.5 kB", "CPU µs", _cpu_us),
    ]

    def get(path: str) -> Callable[[Daemon, int], Load]:
        seconds = stage.plan.load_s
        return lambda daemon, _: load.wrk(
            daemon.address, path, seconds=seconds, connections=CONNECTIONS, headers=[client.ACCEPT]
        )

    found = []
    with _prepared(stage, contestants, blobs, manifest) as daemons:
        for measure, path in zip(measures, paths, strict=True):
            found += _rows([measure], contestants, stage.samples(measure.title, daemons, get(path)))
    return found


def pulls(stage: Stage, contestants: Sequence[Contestant]) -> list[Row]:
    """Pulls of blobs of 1 MiB by several clients, and of a large blob by one."""
    middle = stage.pool.blobs(PULLED_BLOBS, MIB, step=MIB)
    large = stage.pool.blob(stage.plan.large_bytes)
    paths = [client.blob_path(blob) for blob in middle]
    shifted = [paths[start:] + paths[:start] for start in range(0, PULLED_BLOBS, PULLED_BLOBS // PULL_CONNECTIONS)]

    def in_turn(daemon: Daemon, _: int) -> Load:
        until = time.monotonic() + stage.plan.load_s
        return load.run(daemon.address, [client.pull(some, until=until) for some in shifted])

    def whole(daemon: Daemon, _: int) -> Load:
        return load.run(daemon.address, [client.pull([client.blob_path(large)], times=stage.plan.large_pulls)])

    of_middle = Measure("pull-1-mib", "pull of a blob of 1 MiB", "CPU µs", _cpu_us)
    title, per_gib = f"pull of a blob of {large.size_bytes // MIB} MiB", _cpu_s_per_gib(large.size_bytes)
    of_large = Measure("pull-large", title, "CPU s/GiB", per_gib)
    with _prepared(stage, contestants, [*middle, large], None) as daemons:
        found = _rows([of_middle], contestants, stage.samples(of_middle.title, daemons, in_turn))
        return found + _rows([of_large], contestants, stage.samples(title, daemons, whole))


def pushes(stage: Stage, contestants: Sequence[Contestant]) -> list[Row]:
    """Pushes of small blobs by several clients at once, and of a large blob by one; all blobs differ."""
    registries = [each for each in contestants if not each.is_floor]
    small = pushes_of_small_blobs(stage, connections=PUSH_CONNECTIONS, at_most_per_s=PUSHES_PER_S)
    larges = stage.pool.blobs(stage.plan.rounds + 1, stage.plan.large_bytes)

    def large(daemon: Daemon, number: int) -> Load:
        return load.run(daemon.address, [client.push([larges[number]])])

    title = f"push of 100 KiB, {PUSH_CONNECTIONS} clients at once"
    of_small = [
        Measure("push-small", title, "CPU µs", _cpu_us),
        Measure("push-rate", title, "pushes/s", _rate, is_higher_better=True),
    ]
    per_gib = _cpu_s_per_gib(stage.plan.large_bytes)
    of_large = [Measure("push-large", f"push of {stage.plan.large_bytes // MIB} MiB", "CPU s/GiB", per_gib)]
    with stage.running(*(each.subject for each in registries)) as daemons:
        found = _rows(of_small, registries, stage.samples(title, daemons, small))
        return found + _rows(of_large, registries, stage.samples(of_large[0].title, daemons, large))


def tags(stage: Stage, contestants: Sequence[Contestant]) -> list[Row]:
    """Pages of the tags of a repository, at random places."""
    registries = [each for each in contestants if not each.is_floor]
    title = f"a page of {PAGE} of {TAGS.tags:,} tags"
    names = random.Random(SEED).sample(TAGS.names(), 500)
    asked = [(title, f"/v2/{TAGS.path}/tags/list?n={PAGE}&last={name}") for name in names]

    def act(daemon: Daemon, number: int) -> Load:
        latencies_s: defaultdict[str, list[float]] = defaultdict(list)
        until = time.monotonic() + stage.plan.load_s
        starts = [(connection + number) * 50 for connection in range(list_works.CONNECTIONS)]
        scripts = [client.timed([*asked[start:], *asked[:start]], latencies_s, until=until) for start in starts]
        done = load.run(daemon.address, scripts)
        return Load(done.count, done.wall_s)

    with stage.running(*(each.subject for each in registries)) as daemons:
        for daemon in daemons:
            stage.say(f"{title}: writing them for {daemon.subject.name} {daemon.subject.store}")
            peers.fill_tags(daemon, TAGS)
            found = json.loads(client.expect_answer(daemon, "GET", f"/v2/{TAGS.path}/tags/list", 200))["tags"]
            if not set(found) <= set(TAGS.names()) or len(found) < PAGE:
                msg = f"{daemon.subject.name} lists {len(found)} tags of {TAGS.tags}"
                raise LoadError(msg)
        return _rows([Measure("tags", title, "CPU µs", _cpu_us)], registries, stage.samples(title, daemons, act))


def start(stage: Stage, contestants: Sequence[Contestant]) -> list[Row]:
    """From the start of a process with an empty folder to its first answer, and the memory it has a moment later."""
    started: list[list[float]] = [[] for _ in contestants]
    memory: list[list[float]] = [[] for _ in contestants]
    for number in range(stage.plan.rounds):
        stage.say(f"start: round {number + 1} of {stage.plan.rounds}")
        for place, contestant in enumerate(contestants):
            with running(contestant.subject, stage.scratch) as daemon:
                time.sleep(REST_S)
                started[place].append(daemon.start_s)
                memory[place].append(processes.proportional_bytes(daemon.process.pid) / MIB)
    titles = [each.title for each in contestants]
    return [
        Row("start", "start to the first answer", "s", dict(zip(titles, started, strict=True))),
        Row("memory", "memory after the start", "MiB", dict(zip(titles, memory, strict=True))),
    ]


GROUPS: Mapping[str, Callable[[Stage, Sequence[Contestant]], list[Row]]] = {
    "manifests": manifests,
    "pulls": pulls,
    "pushes": pushes,
    "tags": tags,
    "start": start,
}


def _rows(
    measures: Sequence[Measure], contestants: Sequence[Contestant], samples: Sequence[Sequence[Sample]]
) -> list[Row]:
    rows = []
    for measure in measures:
        rounds = {
            each.title: [measure.of(sample) for sample in own] for each, own in zip(contestants, samples, strict=True)
        }
        rows.append(Row(measure.key, measure.title, measure.unit, rounds, measure.is_higher_better))
    return rows


@contextlib.contextmanager
def _prepared(
    stage: Stage, contestants: Sequence[Contestant], blobs: Sequence[Blob], manifest: bytes | None
) -> Iterator[list[Daemon]]:
    """Every server with the blobs, and with the manifest under a tag."""
    with stage.running(*(each.subject for each in contestants)) as daemons:
        for daemon in daemons:
            stage.say(f"preparing {daemon.subject.name} {daemon.subject.store}")
            _place(daemon, blobs, manifest)
        yield daemons


def _place(daemon: Daemon, blobs: Sequence[Blob], manifest: bytes | None) -> None:
    if isinstance(daemon.subject, NginxFiles):
        for blob in blobs:
            peers.write_file(daemon, client.blob_path(blob), list(blob.pieces()))
        if manifest is not None:
            for reference in (client.TAG, client.digest_of(manifest)):
                peers.write_file(daemon, _at(reference), [manifest])
        return
    client.prepare_blobs(daemon, blobs)
    if manifest is None:
        return
    status, body = client.ask(daemon, "PUT", _at(client.TAG), manifest, headers={"Content-Type": MANIFEST_TYPE})
    if status != 201:
        msg = f"{daemon.subject.name} refused the manifest: {body.decode(errors='replace')}"
        raise LoadError(msg)


def _at(reference: str) -> str:
    return client.manifest_path(reference)


def _oci_manifest(blobs: Sequence[Blob]) -> bytes:
    """An image's manifest as OCI lays it out: not every registry takes docker's by itself."""
    value = json.loads(client.image_manifest(blobs[0], blobs[1:])) | {"mediaType": MANIFEST_TYPE}
    value["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json"
    for layer in value["layers"]:
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
    return json.dumps(value, indent=3).encode()


def _cpu_us(sample: Sample) -> float:
    return 1e6 * (sample.cpu_s + sample.database_cpu_s) / sample.count


def _rate(sample: Sample) -> float:
    return sample.count / sample.wall_s


def _cpu_s_per_gib(size_bytes: int) -> Callable[[Sample], float]:
    return lambda sample: (sample.cpu_s + sample.database_cpu_s) / sample.count / (size_bytes / GIB)
