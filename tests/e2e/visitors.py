"""Clients that go on through every trouble, as docker does, and know what has to be there."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException

from e2e.checks import assert_content
from e2e.images import Blob, Image, image_of
from e2e.nodes import Site
from e2e.wire import PUSH_STYLES, Answer, Wire

BASE = "storm/base"
LAYER = "application/octet-stream"
SIZES = (40, 3_000, 70_000, 400_000)
CHUNK_BYTES = 100_000
RESUMED_SHARE = 0.25
"""How many of the blobs are pushed by a client that goes on from where an error came."""
RETRY_S = 0.25
"""Docker waits for seconds; here the next trouble would be over by then."""
PAUSE_S = 0.25
"""Between two operations: a machine that is only just able to do them shows nothing more, and starts nodes slowly."""
COLLECTS_S = 2.0
TRIES = 400
TOLD_S = 180.0
COLLECTED = ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
"""What a push is refused with whose layers were collected before its manifest came: it was slower than the delay."""


@dataclass
class Tally:
    """What all clients together have met."""

    requests: int = 0
    done: int = 0
    """Operations that were acknowledged."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers with a 5xx, and connections that were cut, by what it was."""
    pushed_again: int = 0
    mistakes: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def count(self, answer: Answer | Exception, asked: str) -> None:
        """Note the answer to a request."""
        with self._changed:
            self.requests += 1
            if isinstance(answer, Exception):
                self.refused[type(answer).__name__] += 1
            elif answer.status >= 500:
                self.refused[str(answer.status)] += 1
                if answer.status == 500 or "retry-after" not in answer.headers:
                    self.blame(f"{asked}: {answer.status} {answer.headers} {answer.body[:300]!r}")

    def finish(self) -> None:
        """Note an operation that was acknowledged."""
        with self._changed:
            self.done += 1
            self._changed.notify_all()

    def blame(self, mistake: str) -> None:
        """Note what must not be."""
        with self._changed:
            self.mistakes.append(mistake)
            self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until so many more operations were acknowledged."""
        with self._changed:
            wanted = self.done + more
            ended = self._changed.wait_for(lambda: self.done >= wanted or bool(self.mistakes), TOLD_S)
        assert not self.mistakes, self.mistakes[:5]
        assert ended, f"{wanted - self.done} of {more} operations are not done after {TOLD_S} s: {self.refused}"

    def __str__(self) -> str:
        share = sum(self.refused.values()) / max(1, self.requests)
        return (
            f"{self.done} operations, {self.requests} requests, {share:.2%} of them with errors {dict(self.refused)}, "
            f"{self.pushed_again} images pushed again"
        )


class CountingWire(Wire):
    """A client all of whose answers are counted."""

    tally: Tally

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            answer = super().request(method, target, body, headers)
        except (OSError, HTTPException) as exc:
            self.tally.count(exc, f"{method} {target}")
            raise
        self.tally.count(answer, f"{method} {target}")
        return answer


def counting(site: Site, tally: Tally, *, keep: bool) -> CountingWire:
    """A client that comes through nginx."""
    wire = CountingWire(site.address, timeout_s=120.0, keep=keep, tls=site.tls)
    wire.tally = tally
    return wire


class Visitor(threading.Thread):
    """Has a repository to itself, and does to it all that can be done until it is told to stop."""

    def __init__(self, wire: CountingWire, name: str, base: Image, *, pause_s: float = PAUSE_S) -> None:
        super().__init__(name=name, daemon=True)
        self.wire, self.tally, self.base = wire, wire.tally, base
        self.source = random.Random(name)
        self.parent, self.name_number = f"storm/{name}", 0
        self.pause_s = pause_s
        self.tags: dict[str, Image] = {}
        self.untagged: set[str] = set()
        self.stop = threading.Event()

    @property
    def repository(self) -> str:
        return f"{self.parent}/n{self.name_number}"

    def run(self) -> None:
        try:
            self._push()
            while not self.stop.is_set():
                self.source.choices(
                    (self._push, self._retag, self._untag, self._delete, self._pull, self._rename), (4, 2, 1, 1, 5, 1)
                )[0]()
                self.tally.finish()
                self.stop.wait(self.pause_s)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the test is to end with it
            self.tally.blame(f"{self.repository}: {type(exc).__name__} {exc}")
        self.wire.close()

    def _push(self) -> None:
        sizes = [self.source.choice(SIZES) for _ in range(self.source.randint(1, 3))]
        blobs = [Blob(self.source.randbytes(size), LAYER) for size in sizes]
        image = image_of(blobs[0], [*blobs[1:], *self.source.sample(self.base.layers, 1)])
        tag = self.source.choice(("latest", f"v{self.source.randrange(1 << 30)}"))
        while not self._push_image(image, tag):
            self.tally.pushed_again += 1
        self._tagged(tag, image)

    def _push_image(self, image: Image, tag: str) -> bool:
        """False: what had been pushed was collected before the manifest came."""
        for blob in image.blobs:
            found, _ = self._persist(partial(self.wire.blob, self.repository, blob.digest, "HEAD"), 200, 404)
            if found.status == 404:
                self._persist(partial(self._mount if blob in self.base.layers else self._push_blob, blob), 201)
        answer, _ = self._persist(lambda: self.wire.put_manifest(self.repository, tag, image.manifest), 201, 400, 404)
        assert answer.status == 201 or set(answer.codes) <= set(COLLECTED), (answer.status, answer.body)
        return answer.status == 201

    def _mount(self, blob: Blob) -> Answer:
        answer = self.wire.request("POST", f"/v2/{self.repository}/blobs/uploads/?mount={blob.digest}&from={BASE}")
        # 202: an upload begins in its place.
        return self.wire.finish(answer.location, blob.digest, blob.content) if answer.status == 202 else answer

    def _push_blob(self, blob: Blob) -> Answer:
        if self.source.random() < RESUMED_SHARE:
            return self._push_resumed(blob)
        style = self.source.choice(PUSH_STYLES)
        return self.wire.try_blob(self.repository, blob.content, style, chunk_bytes=CHUNK_BYTES)

    def _push_resumed(self, blob: Blob) -> Answer:
        """Push by chunks; where one fails, ask how much is there and go on from it."""
        answer = self.wire.request("POST", f"/v2/{self.repository}/blobs/uploads/")
        if answer.status != 202:
            return answer
        location, at = answer.location, 0
        while at < len(blob.content):
            chunk = blob.content[at : at + CHUNK_BYTES]
            try:
                answer = self.wire.patch(location, chunk, at)
            except (OSError, HTTPException):
                answer = Answer(503, {}, b"")
            if answer.status != 202:
                answer, _ = self._persist(partial(self.wire.request, "GET", location), 204)
            location, at = answer.location, 0 if answer.headers["range"] == "0-0" else answer.offset
        return self.wire.finish(location, blob.digest)

    def _retag(self) -> None:
        if not self.tags:
            return self._push()
        tag, image = self.source.choice(("latest", "stable")), self.tags[self.source.choice(sorted(self.tags))]
        self._persist(lambda: self.wire.put_manifest(self.repository, tag, image.manifest), 201)
        return self._tagged(tag, image)

    def _tagged(self, tag: str, image: Image) -> None:
        self.tags[tag] = image
        self.untagged.discard(tag)

    def _untag(self) -> None:
        if len(self.tags) > 1:
            tag = self.source.choice(sorted(self.tags))
            self._remove(tag)
            del self.tags[tag]
            self.untagged.add(tag)

    def _delete(self) -> None:
        if len(self.tags) > 3:
            digest = self.tags[self.source.choice(sorted(self.tags))].manifest.digest
            self._remove(digest)
            gone = {tag for tag, image in self.tags.items() if image.manifest.digest == digest}
            self.untagged |= gone
            self.tags = {tag: image for tag, image in self.tags.items() if tag not in gone}

    def _remove(self, reference: str) -> None:
        answer, is_repeated = self._persist(lambda: self.wire.delete(self.repository, "manifests", reference), 202, 404)
        assert answer.status == 202 or is_repeated, f"{reference} is gone already"

    def _rename(self) -> None:
        body = json.dumps({"name": f"n{self.name_number + 1}"}).encode()
        target, headers = f"/gitlab/v1/repositories/{self.repository}/", {"Content-Type": "application/json"}
        answer, is_repeated = self._persist(lambda: self.wire.request("PATCH", target, body, headers), 204, 404)
        assert answer.status == 204 or (is_repeated and self.tags), (answer.status, answer.body)
        self.name_number += 1

    def _pull(self) -> None:
        for tag in self.source.sample(sorted(self.tags), min(2, len(self.tags))):
            self._pull_image(self.wire, tag)

    def _pull_image(self, wire: Wire, tag: str) -> None:
        image = self.tags[tag]
        asked = [partial(wire.manifest, self.repository, tag)]
        asked += [partial(wire.blob, self.repository, blob.digest) for blob in image.blobs]
        for ask, blob in zip(asked, (image.manifest, *image.blobs), strict=True):
            answer, _ = self._persist(ask, 200)
            assert_content(answer, blob.digest, f"{self.repository}:{tag}")

    def check(self, wire: Wire) -> None:
        """Look at *wire* whether all is as it was acknowledged."""
        assert wire.tags(self.repository) == sorted(self.tags), self.repository
        for tag in self.tags:
            self._pull_image(wire, tag)
        for tag in self.untagged:
            assert wire.manifest(self.repository, tag).status == 404, f"{self.repository}:{tag} was removed"

    def _persist(self, send: Callable[[], Answer], *expected: int) -> tuple[Answer, bool]:
        """Send until there is an answer of an expected status; also whether it was sent more than once."""
        for turn in range(TRIES):
            try:
                answer = send()
            except (OSError, HTTPException):
                pass  # It is counted.
            else:
                if answer.status in expected:
                    return answer, turn > 0
                assert answer.status >= 500, f"{self.repository}: {answer.status} {answer.body[:300]!r}"
            time.sleep(RETRY_S)
        msg = f"{self.repository}: not done after {TRIES} tries"
        raise AssertionError(msg)


class Collector(threading.Thread):
    """Collects garbage again and again, whatever its delay."""

    def __init__(self, wire: CountingWire) -> None:
        super().__init__(name="collector", daemon=True)
        self.wire = wire
        self.removed = 0
        self.stop = threading.Event()

    def run(self) -> None:
        body, headers = b'{"give_up_undo": true}', {"Content-Type": "application/json"}
        while not self.stop.wait(COLLECTS_S):
            try:
                answer = self.wire.request("POST", "/moorage/v1/gc/run", body, headers)
            except (OSError, HTTPException):
                continue
            if answer.status == 200:
                self.removed += json.loads(answer.body)["blobs"]["removed"]
            elif answer.status < 500:
                self.wire.tally.blame(f"a collection: {answer.status} {answer.body!r}")
        self.wire.close()


@dataclass
class Storm:
    """All clients at once."""

    site: Site
    seed: str
    keep: bool = True
    """Whether each client has one connection, which it may find closed; else each request opens its own."""
    pause_s: float = PAUSE_S
    visitors: Sequence[Visitor] = ()
    tally: Tally = field(default_factory=Tally)

    def start(self, count: int) -> None:
        """Push what others mount, and let *count* clients begin."""
        source = random.Random(self.seed)
        blobs = [Blob(source.randbytes(size), LAYER) for size in (40, 50_000, 200_000)]
        base = image_of(blobs[0], blobs)
        self.site.wire().push_image(BASE, "v1", base)
        self.visitors = [
            Visitor(self._wire(), f"{self.seed}/v{number}", base, pause_s=self.pause_s) for number in range(count)
        ]
        self.collector = Collector(self._wire())
        for thread in (*self.visitors, self.collector):
            thread.start()

    def _wire(self) -> CountingWire:
        return counting(self.site, self.tally, keep=self.keep)

    def end(self) -> None:
        """Let every client finish what it is at."""
        threads: list[Visitor | Collector] = [*self.visitors, self.collector]
        for thread in threads:
            thread.stop.set()
        for thread in threads:
            thread.join(TOLD_S)
            assert not thread.is_alive(), thread.name
        assert self.tally.mistakes == []

    def told(self) -> str:
        """Print how it went, and return it."""
        line = f"storm {self.seed}: {self.tally}, {self.collector.removed} blobs collected"
        print(f"\n{line}")  # noqa: T201 - the rate of errors is to be seen where the test is run by hand
        return line

    def check(self) -> None:
        """Every node has all that was acknowledged, and nothing that was removed."""
        for number, visitor in enumerate(self.visitors):
            node = self.site.nodes[number % len(self.site.nodes)]
            with self.site.wire(keep=True) as through_nginx, Wire(node.address, keep=True) as past_nginx:
                visitor.check(through_nginx)
                visitor.check(past_nginx)
