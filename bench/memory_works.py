"""What is measured of memory as a whole: of all processes of a server, after its start and after a day's work."""

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import client
import load
from auth_works import MoorageWithAuth, WithTokens, bearer_of
from content import KIB, MIB, SEED, Blob
from figures import AtMost, Figure, Series
from load import Script, expect, request
from stage import Stage
from subjects import Daemon, MoorageConfigured, running

START_LIMIT_MIB = 80
DAY_LIMIT_MIB = 110

CONNECTIONS = 16
TAGS = 5
"""Of each repository."""
SETTLE_S = 3.0
"""Time after the last answer, in which a server does what it has put off."""
READS = ("tag", "head", "digest", "layer", "tags", "page", "referrers")
REFERRER_TYPE = "application/vnd.oci.image.manifest.v1+json"
_PUSHED = 4
"""Repositories that a connection pushes before it reads again."""


def memory_start(stage: Stage) -> list[Figure]:
    """The memory of all processes of a server that has just started, shared pages counted once."""
    subjects = [stage.reference, *(stage.stores or [stage.candidate])]
    found: dict[str, list[float]] = {subject.store: [] for subject in subjects}
    for number in range(stage.plan.rounds):
        stage.say(f"memory-start: round {number + 1} of {stage.plan.rounds}")
        for subject in subjects:
            with running(subject, stage.scratch) as daemon:
                found[subject.store].append(_settled_mib(daemon))
    title = f"memory after start, {stage.workers} workers and all beside them"
    reference = found[stage.reference.store]
    return [
        Figure(
            work="memory-start",
            title=title,
            store=subject.store,
            judged=Series("MiB", reference, found[subject.store]),
            target=AtMost(START_LIMIT_MIB),
        )
        for subject in subjects[1:]
    ]


def memory_day(stage: Stage) -> list[Figure]:
    """The same after many mixed requests: to many repositories, each with a token of its own where tokens are asked."""
    if not stage.stores:
        return []
    candidates = [
        WithTokens(stage.workers, store)
        if isinstance(store, MoorageConfigured)
        else MoorageWithAuth(stage.workers, has_tokens=True)
        for store in stage.stores
    ]
    repositories = [_Repository.of(stage, number) for number in range(stage.plan.day_repositories)]
    after = []
    for subject in (stage.reference, *candidates):
        stage.say(f"memory-day: {subject.name} {subject.store}")
        with running(subject, stage.scratch) as daemon:
            has_tokens = subject is not stage.reference
            count = _work_a_day(daemon, repositories, stage.plan.day_requests, has_tokens=has_tokens)
            after.append(_settled_mib(daemon))
    title = f"memory after {count:,} requests of all kinds to {len(repositories):,} repositories, with tokens"
    return [
        Figure(
            work="memory-day",
            title=title,
            store=candidate.store,
            judged=Series("MiB", after[:1], [found]),
            target=AtMost(DAY_LIMIT_MIB),
        )
        for candidate, found in zip(candidates, after[1:], strict=True)
    ]


WORKS = {"memory-start": memory_start, "memory-day": memory_day}


@dataclass(frozen=True, slots=True)
class _Repository:
    name: str
    config: Blob
    layer: Blob
    payloads: Sequence[bytes]
    """The manifests of its tags."""
    referrer: bytes

    @classmethod
    def of(cls, stage: Stage, number: int) -> "_Repository":
        config, layer = stage.pool.blobs(2, 4 * KIB, step=number)
        image = json.loads(client.image_manifest(config, [layer]))
        payloads = [json.dumps({**image, "annotations": {"tag": f"{tag}"}}).encode() for tag in range(TAGS)]
        subject = {
            "mediaType": client.MANIFEST_TYPE,
            "digest": client.digest_of(payloads[0]),
            "size": len(payloads[0]),
        }
        referrer = {
            **image,
            "mediaType": REFERRER_TYPE,
            "config": {**image["config"], "mediaType": "application/vnd.oci.empty.v1+json"},
            "layers": [{**image["layers"][0], "mediaType": "application/octet-stream"}],
            "artifactType": "application/vnd.example.signature",
            "subject": subject,
        }
        return cls(f"group{number % 50}/app{number}", config, layer, payloads, json.dumps(referrer).encode())

    def path(self, kind: str, generator: random.Random) -> str:
        """Where a kind of READS is asked."""
        tag = generator.randrange(TAGS)
        return {
            "tag": f"/v2/{self.name}/manifests/{tag}",
            "head": f"/v2/{self.name}/manifests/{tag}",
            "digest": f"/v2/{self.name}/manifests/{client.digest_of(self.payloads[tag])}",
            "layer": f"/v2/{self.name}/blobs/{self.layer.digest}",
            "tags": f"/v2/{self.name}/tags/list",
            "referrers": f"/v2/{self.name}/referrers/{client.digest_of(self.payloads[0])}",
            "page": f"/v2/{self.name}/tags/list?n=2",
        }[kind]


@dataclass(slots=True)
class _Day:
    """What the connections share: some repositories are pushed, and many that are there are read, in turn."""

    waiting: Iterator[_Repository]
    left: int
    """Requests that are still to be sent."""
    headers: Mapping[str, tuple[str, ...]]
    """Sent for each repository."""
    pushed: list[_Repository] = field(default_factory=list)

    def script(self, generator: random.Random) -> Script:
        """One connection's part."""
        count = 0
        while self.left > 0:
            for repository in (found for _ in range(_PUSHED) if (found := next(self.waiting, None)) is not None):
                sent = yield from _push(repository, self.headers[repository.name])
                self.pushed.append(repository)
                count, self.left = count + sent, self.left - sent
            for kind in READS if self.pushed else ():
                repository = generator.choice(self.pushed)
                method, path = "HEAD" if kind == "head" else "GET", repository.path(kind, generator)
                answer = yield request(method, path, client.ACCEPT, *self.headers[repository.name])
                if kind != "referrers":  # Not every registry has them.
                    expect(answer, 200)
                count, self.left = count + 1, self.left - 1
        return count


def _work_a_day(daemon: Daemon, repositories: Sequence[_Repository], requests: int, *, has_tokens: bool) -> int:
    headers = {
        repository.name: (f"Authorization: {bearer_of(repository.name)}",) if has_tokens else ()
        for repository in repositories
    }
    day = _Day(iter(repositories), requests, headers)
    scripts = [day.script(random.Random(SEED + number)) for number in range(CONNECTIONS)]
    return load.run(daemon.address, scripts).count


def _push(repository: _Repository, headers: tuple[str, ...]) -> Script:
    count = 0
    for blob in (repository.config, repository.layer):
        answer = yield request("POST", f"/v2/{repository.name}/blobs/uploads/", "Content-Length: 0", *headers)
        where = client.local_part(expect(answer, 202).header("Location"))
        where += f"{'&' if '?' in where else '?'}digest={blob.digest}"
        length = (f"Content-Length: {blob.size_bytes}", "Content-Type: application/octet-stream")
        expect((yield request("PUT", where, *length, *headers, body=blob.pieces())), 201)
        count += 2
    manifests = [(f"{tag}", payload, client.MANIFEST_TYPE) for tag, payload in enumerate(repository.payloads)]
    manifests.append((client.digest_of(repository.referrer), repository.referrer, REFERRER_TYPE))
    for reference, payload, media_type in manifests:
        about = (f"Content-Length: {len(payload)}", f"Content-Type: {media_type}")
        path = f"/v2/{repository.name}/manifests/{reference}"
        expect((yield request("PUT", path, *about, *headers, body=[memoryview(payload)])), 201)
        count += 1
    return count


def _settled_mib(daemon: Daemon) -> float:
    time.sleep(SETTLE_S)
    return daemon.proportional_bytes() / MIB
