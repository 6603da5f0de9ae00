"""What is measured of a registry on link files that grow: tags of one repository, and a tenth as many repositories.

A folder of a million images would be fifteen million files. Here all tags but the newest are links to the folder of
the first one, and all small repositories are links to what is in one: names in folders are what lists go through, and
what a request may not depend on. What is deleted is as clients have pushed it.
"""

import json
import os
from collections.abc import Iterator

import client
import load
import scale_works
import seeding
from load import Request
from scale_works import BIG, Grown, Operations
from subjects import Daemon

REPOSITORIES_EVERY = 10
"""There is one repository for so many tags."""
DELETED = 1000
"""Tags that were pushed last, and are deleted."""
MANIFESTS = 50
"""Manifests that are pushed to be deleted: each deletion looks at all tags."""
SHARED = "many/first"
"""The folder that all small repositories are links into."""
_V2 = "docker/registry/v2/repositories"


def fill(daemon: Daemon, size: int) -> None:
    """Push an image, give its repository *size* tags, and make the other repositories."""
    image = json.dumps(scale_works.push_image(daemon)).encode()
    scale_works.ask_all(daemon, [scale_works.put("first", image)])
    root = f"{daemon.folder}/data/{_V2}"
    os.makedirs(f"{root}/{SHARED}/_manifests")  # noqa: PTH103 - pathlib takes as long as the kernel
    for number in range(size):
        os.symlink("first", f"{root}/{BIG}/_manifests/tags/{seeding.tag_name(number)}")  # noqa: PTH211 - as above
    for number in range(max(1, size // REPOSITORIES_EVERY)):
        folder = f"{root}/{scale_works.small_path(number, size)}"
        os.makedirs(folder)  # noqa: PTH103 - as above
        os.symlink(f"{root}/{SHARED}/_manifests", f"{folder}/_manifests")  # noqa: PTH211 - as above
    scale_works.ask_all(daemon, [scale_works.put(f"deleted-{number}", image) for number in range(DELETED)])
    os.sync()  # What was written is not to be paid for by what comes next.


def catalogue_page(grown: Grown) -> Iterator[Request]:
    """The catalogue, after a repository that was drawn."""
    count = max(1, grown.size // REPOSITORIES_EVERY)
    while True:
        path = scale_works.small_path(grown.random.randrange(count), grown.size)
        yield load.request("GET", f"/v2/_catalog?n={scale_works.PAGE}&last={path}")


def deletes(grown: Grown) -> Iterator[Request]:
    """Deletions of tags that have folders of their own."""
    del grown
    return (load.request("DELETE", _manifest(f"deleted-{number}")) for number in range(DELETED))


def manifest_deletes(grown: Grown) -> Iterator[Request]:
    """Deletions of manifests by digest, which have no tag any more."""
    image = scale_works.push_image(grown.daemon)
    payloads = [json.dumps({**image, "annotations": {"deleted": str(number)}}).encode() for number in range(MANIFESTS)]
    digests = [client.digest_of(payload) for payload in payloads]
    scale_works.ask_all(grown.daemon, map(scale_works.put, digests, payloads))
    return (load.request("DELETE", _manifest(digest)) for digest in digests)


OPERATIONS: Operations = {
    "GET of a manifest by tag": scale_works.get_by_tag,
    "HEAD of a manifest by tag": scale_works.head_by_tag,
    "page of 100 tags": scale_works.tags_page,
    "page of 100 of the catalogue": catalogue_page,
    "referrers of a manifest": scale_works.referrers,
    "push of a blob": scale_works.blob_pushes,
    "push of a manifest": scale_works.pushes,
    f"push of a manifest with {scale_works.LAYERS} layers": scale_works.large_pushes,
    "deletion of a tag": deletes,
    "deletion of a manifest by digest": manifest_deletes,
}
"""By the names that they have on a database."""


def _manifest(reference: str) -> str:
    return f"/v2/{BIG}/manifests/{reference}"
