"""Images and indexes under their tags: pushed one and all, and found again as they were pushed."""

from e2e.images import Image, Index, build_image, build_index
from e2e.wire import Wire

Tagged = dict[str, Image | Index]


def one_of_each_kind() -> Tagged:
    """A tag for each kind of manifest that every registry knows."""
    return {
        "oci": build_image("oci", layers=2),
        "schema2": build_image("schema2", layers=2, family="docker"),
        "index": build_index("index"),
        "list": build_index("list", family="docker"),
    }


def push(wire: Wire, repository: str, tagged: Tagged) -> None:
    """Push everything, what an index lists before it."""
    for tag, what in tagged.items():
        for image in what.images if isinstance(what, Index) else ():
            wire.push_image(repository, image.manifest.digest, image)
        if isinstance(what, Image):
            wire.push_image(repository, tag, what)
        else:
            assert wire.put_manifest(repository, tag, what.manifest).status == 201


def assert_serves(wire: Wire, repository: str, tagged: Tagged) -> None:
    """Tags, manifests by tag and digest with their types, and blobs are what was pushed."""
    assert sorted(wire.tags(repository)) == sorted(tagged)  # Distribution's are in no order.
    for tag, what in tagged.items():
        for reference in (tag, what.manifest.digest):
            answer = wire.manifest(repository, reference)
            assert (answer.status, answer.body) == (200, what.manifest.content)
            assert answer.headers["content-type"] == what.manifest.media_type
            assert answer.headers["docker-content-digest"] == what.manifest.digest
            assert wire.manifest(repository, reference, "HEAD").status == 200
        for image in what.images if isinstance(what, Index) else (what,):
            assert wire.manifest(repository, image.manifest.digest).body == image.manifest.content
            for blob in image.blobs:
                assert wire.blob(repository, blob.digest).body == blob.content
