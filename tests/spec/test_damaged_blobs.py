"""Blobs whose bytes are not as they should be: nothing is acknowledged that cannot be pulled, and a push heals it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.oci.digests import Digest
from spec.expect import holds_for_every_response, refused
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient

NAME, OTHER = "group/app", "group/other"
MADE = images.image("damaged")
LAYER = MADE.blobs[1]


class Damaged:
    """A registry with an image, the bytes of one of whose layers can be changed."""

    def __init__(self, folder: Path | None, stack: ExitStack) -> None:
        self._has_database, self.is_noted = folder is not None, False
        self.registry = stack.enter_context(InProcess(folder))
        self.client = stack.enter_context(RegistryClient(self.registry.address, observe=holds_for_every_response))
        images.push_image(self.client, NAME, "latest", MADE)

    def leave(self, content: bytes | None) -> None:
        """Let *content* be all that there is of the layer; None: nothing."""
        # Without a database, a collection of another registry leaves links that lead to nothing: that is no damage.
        self.is_noted = self._has_database or content is not None
        self.registry.leave_bytes(LAYER.digest, content)


DAMAGES = {"gone": None, "empty": b"", "cut": LAYER.body[:-1], "grown": LAYER.body + b"x"}
SEEN = [(True, damage) for damage in DAMAGES] + [(False, "gone"), (False, "empty")]
"""With a database or not, and a damage that can be seen: without one nobody has noted how large a blob is."""


@pytest.fixture(params=SEEN, ids=str)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Damaged]:
    has_database, damage = request.param
    with ExitStack() as stack:
        damaged = Damaged(tmp_path if has_database else None, stack)
        damaged.leave(DAMAGES[damage])
        yield damaged


def test_it_counts_as_absent(damaged: Damaged) -> None:
    refused(damaged.client.get_blob(NAME, LAYER.digest), 404, "BLOB_UNKNOWN")
    assert damaged.client.head_blob(NAME, LAYER.digest).status == 404


@pytest.mark.parametrize("source", [NAME, None])
def test_a_mount_of_it_is_an_upload(damaged: Damaged, source: str | None) -> None:
    started = damaged.client.mount_blob(OTHER, LAYER.digest, source)
    assert started.status == 202
    assert damaged.client.close_upload(started.location, LAYER.digest, LAYER.body).status == 201
    for name in (NAME, OTHER):
        assert damaged.client.get_blob(name, LAYER.digest).body == LAYER.body


def test_an_image_that_needs_it_is_refused(damaged: Damaged) -> None:
    response = damaged.client.put_manifest(NAME, "again", MADE.manifest.body, MADE.manifest.media_type)
    refused(response, 400, "MANIFEST_BLOB_UNKNOWN")
    assert LAYER.digest in response.body.decode()


def test_a_whole_push_heals_it(damaged: Damaged) -> None:
    assert damaged.client.post_blob(NAME, LAYER.digest, LAYER.body).status == 201
    assert damaged.client.get_blob(NAME, LAYER.digest).body == LAYER.body
    again = damaged.client.put_manifest(NAME, "again", MADE.manifest.body, MADE.manifest.media_type)
    assert again.status == 201


def test_a_push_by_a_session_heals_it(damaged: Damaged) -> None:
    started = damaged.client.start_upload(NAME)
    assert damaged.client.close_upload(started.location, LAYER.digest, LAYER.body).status == 201
    assert damaged.client.head_blob(NAME, LAYER.digest).headers["Content-Length"] == str(len(LAYER.body))


def test_health_says_so_until_it_is_healed(damaged: Damaged) -> None:
    assert damaged.registry.damage() is None
    damaged.client.head_blob(NAME, LAYER.digest)
    damaged.client.get_blob(NAME, LAYER.digest)
    found = damaged.registry.damage()
    if not damaged.is_noted:
        assert found is None
        return
    assert found is not None
    assert (found.count, str(found.example), found.is_all) == (1, LAYER.digest, True)
    damaged.client.post_blob(OTHER, LAYER.digest, LAYER.body)
    assert damaged.registry.damage() is None


def test_health_forgets_what_was_deleted(damaged: Damaged) -> None:
    damaged.client.get_blob(NAME, LAYER.digest)
    assert damaged.client.delete_manifest(NAME, MADE.manifest.digest).status == 202
    assert damaged.client.delete_blob(NAME, LAYER.digest).status == 202
    assert damaged.registry.damage() is None


@pytest.mark.parametrize("noted_bytes", [0, 1, 1 << 40])
def test_a_wrong_size_in_the_database_is_healed_by_a_push_too(tmp_path: Path, noted_bytes: int) -> None:
    with ExitStack() as stack:
        damaged = Damaged(tmp_path, stack)
        damaged.registry.execute("UPDATE blobs SET size = ?", noted_bytes)
        refused(damaged.client.get_blob(NAME, LAYER.digest), 404, "BLOB_UNKNOWN")
        images.push_image(damaged.client, OTHER, "latest", MADE)
        for name in (NAME, OTHER):
            assert damaged.client.get_blob(name, LAYER.digest).body == LAYER.body
        assert damaged.registry.damage() is None


def test_the_blob_of_no_bytes_is_whole(damaged: Damaged) -> None:
    empty = Digest.of(b"")
    damaged.client.push_blob(NAME, b"", str(empty))
    assert damaged.client.get_blob(NAME, str(empty)).status == 200
    assert damaged.client.mount_blob(OTHER, str(empty), NAME).status == 201
