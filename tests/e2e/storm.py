"""Threads that push as fast as they can and remember what was acknowledged, for a daemon that is killed meanwhile."""

import http.client
import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from e2e.checks import assert_content
from e2e.images import OCI_MANIFEST, Blob, Image, image_of
from e2e.wire import PUSH_STYLES, Wire, sha256

LAYER = "application/octet-stream"
UNTAG_SHARE = 0.3
"""How many of the pushes are followed by the deletion of some tag."""


@dataclass
class Account:
    """What one pusher attempted in its repository, and what of it the registry said was there."""

    repository: str
    attempted: dict[str, bytes] = field(default_factory=dict)
    """Blobs and manifests by digest."""
    blobs: set[str] = field(default_factory=set)
    """Digests of acknowledged blobs."""
    manifests: set[str] = field(default_factory=set)
    """Digests of acknowledged manifests."""
    tags: dict[str, str] = field(default_factory=dict)
    """The last acknowledged digest of each tag."""
    untagged: set[str] = field(default_factory=set)
    """Tags whose deletion was acknowledged."""
    in_flight: tuple[str, str | None] | None = None
    """A tag and its new digest (None: its deletion), sent and not yet acknowledged."""
    refusals: list[str] = field(default_factory=list)
    """Answers that were neither a success nor a cut connection: there should be none."""


class Pusher(threading.Thread):
    """Pushes images of a few small blobs, under new tags and under moving ones, until the registry goes away."""

    def __init__(self, address: str, account: Account, seed: str) -> None:
        super().__init__(name=account.repository, daemon=True)
        self.wire = Wire(address, timeout_s=20, keep=True)
        self.account = account
        self.source = random.Random(seed)

    def run(self) -> None:
        try:
            while True:
                self._push_one()
        except (OSError, http.client.HTTPException):
            # The registry was killed: what is not acknowledged by now never will be.
            self.wire.close()
        except AssertionError as error:
            self.account.refusals.append(str(error))

    def _push_one(self) -> None:
        blobs = [self._push_blob() for _ in range(self.source.randint(1, 3))]
        image = image_of(blobs[0], blobs[1:])
        self._put(image, image.manifest.digest)
        for tag in (f"v{self.source.randrange(1 << 30)}", "moving"):
            self._put(image, tag)
        if self.source.random() < UNTAG_SHARE:
            self._untag(self.source.choice(sorted(self.account.tags)))

    def _push_blob(self) -> Blob:
        content = self.source.randbytes(self.source.choice([40, 3_000, 70_000, 600_000]))
        digest, style = sha256(content), self.source.choice(PUSH_STYLES)
        self.account.attempted[digest] = content
        answer = self.wire.try_blob(self.account.repository, content, style, chunk_bytes=200_000)
        assert answer.status == 201, (style, answer.status, answer.body)
        self.account.blobs.add(digest)
        return Blob(content, LAYER)

    def _put(self, image: Image, reference: str) -> None:
        digest = image.manifest.digest
        self.account.attempted[digest] = image.manifest.content
        if reference != digest:
            self.account.in_flight = (reference, digest)
        answer = self.wire.put_manifest(self.account.repository, reference, image.manifest)
        assert answer.status == 201, (reference, answer.status, answer.body)
        self.account.manifests.add(digest)
        if reference != digest:
            self.account.tags[reference] = digest
            self.account.untagged.discard(reference)
        self.account.in_flight = None

    def _untag(self, tag: str) -> None:
        self.account.in_flight = (tag, None)
        answer = self.wire.delete(self.account.repository, "manifests", tag)
        assert answer.status == 202, (tag, answer.status, answer.body)
        del self.account.tags[tag]
        self.account.untagged.add(tag)
        self.account.in_flight = None


def start_storm(address: str, accounts: Sequence[Account], seed: str) -> list[Pusher]:
    """One pusher for each account."""
    pushers = [Pusher(address, account, f"{seed}/{account.repository}") for account in accounts]
    for pusher in pushers:
        pusher.start()
    return pushers


def assert_kept(wire: Wire, account: Account) -> None:
    """All that was acknowledged is there as it was sent; what was not is whole or absent."""
    name = account.repository
    for digest in account.blobs:
        assert_content(wire.blob(name, digest), digest, f"acknowledged blob in {name}")
    for digest in account.manifests:
        assert_content(wire.manifest(name, digest), digest, f"acknowledged manifest in {name}")
    for tag in account.tags.keys() | account.untagged:
        allowed = {account.tags.get(tag)}
        if account.in_flight is not None and account.in_flight[0] == tag:
            allowed.add(account.in_flight[1])
        found = wire.manifest(name, tag)
        assert found.status in {200, 404}, (name, tag, found.status)
        pointed = sha256(found.body) if found.status == 200 else None
        assert pointed in allowed, f"{name}:{tag} is {pointed}, and was last acknowledged as {allowed}"
    for digest, content in account.attempted.items():
        is_manifest = content.startswith(b"{") and OCI_MANIFEST.encode() in content
        answer = wire.manifest(name, digest) if is_manifest else wire.blob(name, digest)
        assert answer.status in {200, 404}, (name, digest, answer.status)
        if answer.status == 200:
            assert answer.body == content, f"{name}: half of {digest} is visible"


def describe(accounts: Sequence[Account]) -> str:
    """How much was acknowledged, as one line."""
    counts = {
        "blobs": sum(len(account.blobs) for account in accounts),
        "manifests": sum(len(account.manifests) for account in accounts),
        "tags": sum(len(account.tags) for account in accounts),
        "untagged": sum(len(account.untagged) for account in accounts),
    }
    return json.dumps(counts)
