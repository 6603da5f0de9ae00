"""Offline garbage collection beside that of Debian's docker-registry, over copies of one folder.

The same blobs go. Where not, the test says why ours is right.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.images import Image, build_image, build_index
from e2e.settings import config_for
from e2e.wire import Wire
from support.collecting import blobs_below, collected, run
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer


@pytest.fixture(autouse=True)
def _peer_is_installed() -> None:
    need(COMMAND)


@dataclass
class Twins:
    """A folder, and what each of the two collections leaves of a copy."""

    scratch: Path
    written: Path

    def theirs(self, *options: str) -> Path:
        copy = shutil.copytree(self.written, self.scratch / "theirs")
        self.peer("theirs").garbage_collect(*options)
        return copy

    def ours(self, *options: str) -> Path:
        copy = shutil.copytree(self.written, self.scratch / "ours" / "data")
        collected(self.config("ours"), *options)
        return copy

    def peer(self, name: str) -> Peer:
        """Serves or collects the copy of that name."""
        return Peer(self.scratch / f"{name}-peer", self.scratch / name)

    def config(self, name: str) -> Path:
        path = self.scratch / f"{name}.yml"
        path.write_text(config_for(self.scratch / name))
        return path


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path, tmp_path / "written")


@pytest.fixture
def peer(twins: Twins) -> Peer:
    """Writes the folder."""
    return Peer(twins.scratch / "peer", twins.written)


def digests(*images: Image) -> set[str]:
    return {blob.digest for image in images for blob in (*image.blobs, image.manifest)}


def push_plain(wire: Wire) -> None:
    """Images without indexes in three repositories: tagged, tagged before, pushed by digest, deleted; and orphans."""
    for repository in ("lib/app", "lib/app/sub", "zoo"):
        for number in range(4):
            image = build_image(f"{repository}/{number}", layers=2, family="docker" if number % 2 else "oci")
            wire.push_image(repository, f"v{number % 2}", image)
        wire.push_image(repository, build_image("by digest").manifest.digest, build_image("by digest"))
        gone = build_image(f"{repository}/deleted")
        wire.push_image(repository, "deleted", gone)
        assert wire.delete(repository, "manifests", gone.manifest.digest).status == 202
        wire.push_blob(repository, f"orphan of {repository}".encode())


@pytest.mark.parametrize("options", [(), ("-m",)])
def test_the_same_blobs_go_from_what_the_peer_wrote(options: tuple[str, ...], twins: Twins, peer: Peer) -> None:
    with peer:
        push_plain(Wire(peer.address))
    before = blobs_below(twins.written)
    theirs, ours = blobs_below(twins.theirs(*options)), blobs_below(twins.ours(*options))
    assert ours == theirs
    assert ours < before


@pytest.mark.parametrize("options", [(), ("-m",)])
def test_the_same_blobs_go_from_what_we_wrote(options: tuple[str, ...], twins: Twins) -> None:
    written = Daemon(twins.scratch / "writer", config=config_for(twins.scratch / "writer"))
    with written as daemon:
        push_plain(Wire(daemon.address))
    twins.written = written.data
    theirs, ours = blobs_below(twins.theirs(*options)), blobs_below(twins.ours(*options))
    assert ours == theirs


def test_what_both_leave_is_served_by_the_other(twins: Twins, peer: Peer) -> None:
    with peer:
        push_plain(Wire(peer.address))
    twins.ours("-m")
    with Peer(twins.scratch / "reader", twins.scratch / "ours" / "data") as reader:
        wire = Wire(reader.address)
        for repository in ("lib/app", "lib/app/sub", "zoo"):
            assert sorted(wire.tags(repository)) == ["v0", "v1"]
            for tag, number in (("v0", 2), ("v1", 3)):
                image = build_image(f"{repository}/{number}", layers=2, family="docker" if number % 2 else "oci")
                assert wire.manifest(repository, tag).body == image.manifest.content
                for blob in image.blobs:
                    assert wire.blob(repository, blob.digest).body == blob.content


def test_children_of_a_tagged_index_go_with_theirs_and_stay_with_ours(twins: Twins, peer: Peer) -> None:
    """They have no tag of their own, as no client gives them one: 2.8 breaks every image of several platforms."""
    index = build_index("several platforms")
    with peer:
        wire = Wire(peer.address)
        for image in index.images:
            wire.push_image("app", image.manifest.digest, image)
        assert wire.put_manifest("app", "1", index.manifest).status == 201
    wanted = digests(*index.images) | {index.manifest.digest}
    theirs, ours = blobs_below(twins.theirs("-m")), blobs_below(twins.ours("-m"))
    assert ours == wanted
    # The index marks the payloads of its children, and nobody their layers.
    assert wanted - theirs == {blob.digest for image in index.images for blob in image.blobs}


def test_signatures_go_with_theirs_and_stay_with_ours(twins: Twins, peer: Peer) -> None:
    """A manifest with a subject hangs on its image, as the specification of referrers says; 2.8 is older than that."""
    image = build_image("image")
    signature = build_image("signature", layers=1, subject=image.manifest)
    with peer:
        wire = Wire(peer.address)
        wire.push_image("app", "1", image)
        wire.push_image("app", signature.manifest.digest, signature)
    theirs, ours = blobs_below(twins.theirs("-m")), blobs_below(twins.ours("-m"))
    assert ours == digests(image, signature)
    assert theirs == digests(image)


def test_links_of_blobs_that_went_stay_with_theirs_and_go_with_ours(twins: Twins, peer: Peer) -> None:
    """A link without its blob makes a registry with a cache say that the blob is there, and the next push skip it."""
    with peer:
        wire = Wire(peer.address)
        wire.push_image("app", "1", build_image("image"))
        digest = wire.push_blob("app", b"orphan")
    link = f"docker/registry/v2/repositories/app/_layers/sha256/{digest.removeprefix('sha256:')}/link"
    assert (twins.theirs("-m") / link).exists()
    assert not (twins.ours("-m") / link).parent.exists()


def test_layers_of_a_damaged_manifest_go_with_theirs_and_stay_with_ours(twins: Twins, peer: Peer) -> None:
    """Nobody knows what a manifest with other bytes than its digest says has referred to: so ours does not begin."""
    image = build_image("image", layers=1)
    with peer:
        Wire(peer.address).push_image("app", "1", image)
    encoded = image.manifest.digest.removeprefix("sha256:")
    payload = twins.written / "docker/registry/v2/blobs/sha256" / encoded[:2] / encoded / "data"
    value = json.loads(payload.read_bytes())
    value["layers"] = []
    payload.write_text(json.dumps(value))
    before = blobs_below(twins.written)
    assert blobs_below(twins.theirs("-m")) == before - {image.layers[0].digest}
    shutil.copytree(twins.written, twins.scratch / "ours" / "data")
    ended = run(twins.config("ours"), "-m")
    assert ended.returncode == 0
    assert "repository kept whole" in ended.stdout + ended.stderr
    assert blobs_below(twins.scratch / "ours" / "data") == before


@pytest.mark.parametrize("options", [(), ("-m",)])
@pytest.mark.parametrize("has_tag", [True, False])
def test_a_manifest_without_its_payload_keeps_its_repository_here_if_a_tag_points_to_it(
    options: tuple[str, ...], twins: Twins, peer: Peer, *, has_tag: bool
) -> None:
    """Its bytes may come back from a backup. Without a tag it keeps nothing with either: nobody can pull it."""
    lost, kept = build_image("lost"), build_image("kept")
    with peer:
        wire = Wire(peer.address)
        wire.push_image("app", "lost" if has_tag else lost.manifest.digest, lost)
        wire.push_image("app", "kept", kept)
        wire.push_image("other", "kept", kept)
    encoded = lost.manifest.digest.removeprefix("sha256:")
    shutil.rmtree(twins.written / "docker/registry/v2/blobs/sha256" / encoded[:2] / encoded)
    theirs, ours = blobs_below(twins.theirs(*options)), blobs_below(twins.ours(*options))
    assert theirs == digests(kept)
    assert ours == theirs | ({blob.digest for blob in lost.blobs} if has_tag else set())


def test_an_empty_tag_link_ends_theirs_and_not_ours(twins: Twins, peer: Peer) -> None:
    """It is what a crash leaves of Distribution, and says nothing."""
    kept = build_image("kept")
    with peer:
        Wire(peer.address).push_image("app", "kept", kept)
    folder = twins.written / "docker/registry/v2/repositories/app/_manifests/tags/half/current"
    folder.mkdir(parents=True)
    (folder / "link").write_bytes(b"")
    with pytest.raises(AssertionError, match="failed to"):
        twins.theirs("-m")
    assert blobs_below(twins.ours("-m")) == digests(kept)
