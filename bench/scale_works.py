"""What is measured of databases that grow: each operation over and over, on one connection, at random places."""

import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import client
import list_works
import load
import seeding
from figures import percentile
from load import LoadError, Request, Script
from seeding import Images
from subjects import Daemon

BIG = "group/big"
PAGE = 100
SETTLE_S = 0.2
DEAD_BLOBS = 1000
DEAD_BYTES = 1024
MANIFESTS = 2000
"""Deleted by digest at most."""
REFERRERS = 20
LAYERS = 40
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Measured:
    """One operation on a database of one size."""

    cpu_us: float
    """Of the registry and its database together, for each."""
    ms: float
    """The median of what the client waited."""
    count: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A registry whose database has *size* tags and manifests in one repository, and as many other repositories."""

    daemon: Daemon
    size: int
    seconds: float
    """How long each operation is repeated."""
    random: random.Random
    """Where places are drawn from."""

    def tags(self) -> Iterator[tuple[int, str]]:
        """Tags that were drawn, without end: their numbers and names."""
        while True:
            number = self.random.randrange(self.size)
            yield number, seeding.tag_name(number)

    def paths(self) -> Iterator[str]:
        """Repositories that were drawn, without end."""
        while True:
            yield small_path(self.random.randrange(self.size), self.size)


def small_path(number: int, size: int) -> str:
    """The path of one of the many repositories: a hundred groups, however many there are."""
    return f"many/g{number % 100:02}/app{number:0{len(str(size))}}"


def images(size: int) -> list[Images]:
    """The repositories of a database of that *size*."""
    small = (Images(path=small_path(number, size), tags=1, own_layers=0) for number in range(size))
    return [Images(path=BIG, tags=size), *small]


def tags_page(grown: Grown) -> Iterator[Request]:
    """The plain list of tags."""
    return (_get(f"/v2/{BIG}/tags/list?n={PAGE}&last={name}") for _, name in grown.tags())


def details_by_name(grown: Grown) -> Iterator[Request]:
    """The list of tags with their details, by name."""
    return (_get(_details("name", name)) for _, name in grown.tags())


def details_by_time(grown: Grown) -> Iterator[Request]:
    """The same, newest first."""
    return (_get(_details("-published_at", list_works.marker(number, name))) for number, name in grown.tags())


def catalogue_page(grown: Grown) -> Iterator[Request]:
    """The catalogue."""
    return (_get(f"/v2/_catalog?n={PAGE}&last={path}") for path in grown.paths())


def repositories_page(grown: Grown) -> Iterator[Request]:
    """The repositories below a path."""
    base = "/gitlab/v1/repository-paths/many/repositories/list/"
    return (_get(f"{base}?n={PAGE}&last={quote(path, safe='')}") for path in grown.paths())


def get_by_tag(grown: Grown) -> Iterator[Request]:
    """GET of a manifest."""
    return (_get(f"/v2/{BIG}/manifests/{name}") for _, name in grown.tags())


def head_by_tag(grown: Grown) -> Iterator[Request]:
    """HEAD of a manifest."""
    return (load.request("HEAD", f"/v2/{BIG}/manifests/{name}", client.ACCEPT) for _, name in grown.tags())


def filtered(_: Grown) -> Iterator[Request]:
    """The list of tags whose name has a text that none has."""
    path = f"/gitlab/v1/repositories/{BIG}/tags/list/?n={PAGE}&name=no-such-tag"
    while True:
        yield _get(path)


def referrers(grown: Grown) -> Iterator[Request]:
    """Manifests that have another as their subject."""
    image = push_image(grown.daemon)
    payload = json.dumps(image).encode()
    digest = client.digest_of(payload)
    subject = {"mediaType": seeding.MEDIA_TYPE, "digest": digest, "size": len(payload)}
    notes = [
        json.dumps({**image, "subject": subject, "annotations": {"note": str(number)}}).encode()
        for number in range(REFERRERS)
    ]
    puts = [put(client.digest_of(note), note) for note in notes]
    ask_all(grown.daemon, puts)
    while True:
        yield _get(f"/v2/{BIG}/referrers/{digest}")


def pushes(grown: Grown) -> Iterator[Request]:
    """Pushes of manifests of images that are there, each under a tag of its own."""
    image = push_image(grown.daemon)
    for number in itertools.count():
        yield put(f"push-{number}", json.dumps({**image, "annotations": {"push": str(number)}}).encode())


def large_pushes(grown: Grown) -> Iterator[Request]:
    """The same of an image of many layers."""
    image = push_image(grown.daemon, layers=LAYERS)
    for number in itertools.count():
        yield put(f"large-{number}", json.dumps({**image, "annotations": {"push": str(number)}}).encode())


def blob_pushes(grown: Grown) -> Iterator[Request]:
    """Pushes of small blobs, each in one request."""
    for number in itertools.count():
        content = b"blob %d of %d" % (number, grown.size)
        path = f"/v2/{BIG}/blobs/uploads/?digest={client.digest_of(content)}"
        yield load.request("POST", path, f"Content-Length: {len(content)}", body=[memoryview(content)])


def deletes(grown: Grown) -> Iterator[Request]:
    """Deletions of tags: of three quarters of them, as what is deleted by digest is not to be gone."""
    for number in grown.random.sample(range(grown.size // 4, grown.size), min(grown.size // 4, 5000)):
        yield load.request("DELETE", f"/v2/{BIG}/manifests/{seeding.tag_name(number)}")


def manifest_deletes(grown: Grown) -> Iterator[Request]:
    """Deletions of manifests by digest, with their tags."""
    numbers = grown.random.sample(range(grown.size // 4), min(grown.size // 4, MANIFESTS))
    digests: list[str] = []
    heads = [
        load.request("HEAD", f"/v2/{BIG}/manifests/{seeding.tag_name(number)}", client.ACCEPT) for number in numbers
    ]
    load.run(grown.daemon.address, [_digests(heads, digests)])
    return (load.request("DELETE", f"/v2/{BIG}/manifests/{digest}") for digest in digests)


def undos(grown: Grown) -> Iterator[Request]:
    """What was deleted comes back."""
    history = json.loads(client.expect_answer(grown.daemon, "GET", f"/moorage/v1/history?repository={BIG}&n=1000", 200))
    for entry in history["entries"]:
        if entry["action"] == "tag_delete":
            path = f"/moorage/v1/tag/undo?repository={quote(BIG, safe='')}&tag={entry['tag']}"
            yield load.request("POST", path, f"Content-Type: {_JSON}", "Content-Length: 2", body=[memoryview(b"{}")])


def history(_: Grown) -> Iterator[Request]:
    """What was done in the repository last."""
    while True:
        yield _get(f"/moorage/v1/history?repository={BIG}&n={PAGE}")


Operations = Mapping[str, Callable[[Grown], Iterator[Request]]]
OPERATIONS: Operations = {
    "GET of a manifest by tag": get_by_tag,
    "HEAD of a manifest by tag": head_by_tag,
    "page of 100 tags": tags_page,
    "page of 100 tags with details, by name": details_by_name,
    "page of 100 tags with details, newest first": details_by_time,
    "tags with a text in the name that none has": filtered,
    "page of 100 of the catalogue": catalogue_page,
    "page of 100 repositories below a path": repositories_page,
    "referrers of a manifest": referrers,
    "push of a blob": blob_pushes,
    "push of a manifest": pushes,
    f"push of a manifest with {LAYERS} layers": large_pushes,
    "deletion of a tag": deletes,
    "page of 100 of the history": history,
    "undo of a deletion": undos,
    "deletion of a manifest by digest": manifest_deletes,
}
"""In this order: what writes comes last, and an undo after its deletions."""


def measure(grown: Grown, operation: Callable[[Grown], Iterator[Request]]) -> Measured:
    """Repeat an operation for a while."""
    requests = operation(grown)
    # What an operation needs is made with its first request, which is not counted.
    ask_all(grown.daemon, [next(requests)])
    latencies_s: list[float] = []
    daemon = grown.daemon
    before_s = daemon.cpu_s() + daemon.database_cpu_s()
    until = time.monotonic() + grown.seconds
    count = load.run(daemon.address, [_asking(requests, latencies_s, until=until)]).count
    time.sleep(SETTLE_S)
    cpu_s = daemon.cpu_s() + daemon.database_cpu_s() - before_s
    return Measured(1e6 * cpu_s / count, 1000 * percentile(latencies_s, 0.5), count)


def push_image(daemon: Daemon, *, layers: int = 1) -> dict[str, object]:
    """Push the blobs of an image into the large repository; its manifest."""
    described = []
    contents = [(b"{}", seeding.CONFIG_TYPE), *((b"layer %d" % number, seeding.LAYER_TYPE) for number in range(layers))]
    for content, kind in contents:
        digest = client.digest_of(content)
        status, body = client.ask(daemon, "POST", f"/v2/{BIG}/blobs/uploads/?digest={digest}", content)
        if status != 201:
            msg = f"a blob was refused: {status} {body.decode(errors='replace')}"
            raise LoadError(msg)
        described.append({"mediaType": kind, "digest": digest, "size": len(content)})
    return {"schemaVersion": 2, "mediaType": seeding.MEDIA_TYPE, "config": described[0], "layers": described[1:]}


def put(reference: str, payload: bytes) -> Request:
    """The push of a manifest into the large repository."""
    headers = (f"Content-Type: {seeding.MEDIA_TYPE}", f"Content-Length: {len(payload)}")
    return load.request("PUT", f"/v2/{BIG}/manifests/{reference}", *headers, body=[memoryview(payload)])


def ask_all(daemon: Daemon, requests: Iterable[Request]) -> None:
    """Send *requests* one after the other, which all have to succeed."""
    load.run(daemon.address, [_asking(requests, [], until=None)])


def collect_manifests(grown: Grown) -> Measured:
    """Collect manifests that were deleted by digest, as if that was long ago, with what looks at their blobs."""
    daemon = grown.daemon
    count = daemon.sink().make_manifests_due()
    before_s, began = daemon.cpu_s() + daemon.database_cpu_s(), time.monotonic()
    while _run_collection(daemon):
        pass
    took_s = time.monotonic() - began
    cpu_s = daemon.cpu_s() + daemon.database_cpu_s() - before_s
    return Measured(1e6 * cpu_s / count, 1000 * took_s / count, count)


def collect(grown: Grown) -> Measured:
    """Collect blobs that are due, however many manifests have to be looked through for whoever may need them."""
    daemon = grown.daemon
    folder, beyond = daemon.folder / "data", 100 * seeding.FIRST_ID
    seeding.seed_dead_blobs(daemon.sink(), folder, DEAD_BLOBS, DEAD_BYTES, first_id=beyond)
    before_s, began = daemon.cpu_s() + daemon.database_cpu_s(), time.monotonic()
    while daemon.sink().waiting_blobs():
        _run_collection(daemon)
    took_s = time.monotonic() - began
    cpu_s = daemon.cpu_s() + daemon.database_cpu_s() - before_s
    return Measured(1e6 * cpu_s / DEAD_BLOBS, 1000 * took_s / DEAD_BLOBS, DEAD_BLOBS)


COLLECTIONS: Mapping[str, Callable[[Grown], Measured]] = {
    "collection of a dead blob": collect,
    "collection of a deleted manifest": collect_manifests,
}
"""In this order: manifests that go leave blobs that wait."""


def _run_collection(daemon: Daemon) -> int:
    """Review what is due for two seconds; how many manifests are left."""
    status, body = client.ask(daemon, "POST", "/moorage/v1/gc/run", b"{}", headers={"Content-Type": _JSON})
    if status != 200:
        msg = f"gc/run: {status} {body.decode(errors='replace')}"
        raise LoadError(msg)
    return int(json.loads(body)["manifests"]["left"])


def _digests(requests: Iterable[Request], found: list[str]) -> Script:
    for request in requests:
        answer = yield request
        found.append(load.expect(answer, 200).header("Docker-Content-Digest"))
    return len(found)


def _asking(requests: Iterable[Request], latencies_s: list[float], *, until: float | None) -> Script:
    count = 0
    for request in requests:
        began = time.perf_counter()
        answer = yield request
        latencies_s.append(time.perf_counter() - began)
        if answer.status >= 300:
            msg = f"{request.head.decode()}: {answer.head.decode('latin-1')}"
            raise LoadError(msg)
        count += 1
        if until is not None and time.monotonic() > until:
            break
    return count


def _get(path: str) -> Request:
    return load.request("GET", path, client.ACCEPT)


def _details(sort: str, last: str) -> str:
    return f"/gitlab/v1/repositories/{BIG}/tags/list/?n={PAGE}&sort={sort}&last={last}"
