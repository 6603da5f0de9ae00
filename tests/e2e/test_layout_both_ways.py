"""The storage folder is shared with Distribution: what it wrote we serve, what we wrote it serves."""

import json
import random
from pathlib import Path

import pytest

from e2e.checks import assert_content, assert_everything_listed_is_whole, assert_folder_is_sound
from e2e.images import Blob, Image, Index, build_image, image_of
from e2e.settings import config_for
from e2e.tagged import Tagged, assert_serves, one_of_each_kind, push
from e2e.wire import Wire
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer

REPOSITORIES = ("lib/app", "lib/app/sub", "zoo")


@pytest.fixture(autouse=True)
def _peer_is_installed() -> None:
    need(COMMAND)


@pytest.fixture
def ours(tmp_path: Path) -> Daemon:
    """Not started: a test does that when the folder is as it wants it."""
    return Daemon(tmp_path, config=config_for(tmp_path), workers=2)


@pytest.fixture
def theirs(tmp_path: Path, ours: Daemon) -> Peer:
    return Peer(tmp_path / "peer", ours.data)


def content() -> Tagged:
    return {**one_of_each_kind(), "zz-moved": build_image("moved")}


def write_with(server: Daemon | Peer) -> None:
    with server:
        for repository in REPOSITORIES:
            push(Wire(server.address), repository, content())


def test_what_the_peer_wrote_is_served(ours: Daemon, theirs: Peer) -> None:
    write_with(theirs)
    with ours:
        wire = Wire(ours.address)
        assert wire.catalogue() == sorted(REPOSITORIES)
        for repository in REPOSITORIES:
            assert_serves(wire, repository, content())
            assert wire.tags(repository) == sorted(content())


def test_what_we_wrote_the_peer_serves(ours: Daemon, theirs: Peer) -> None:
    write_with(ours)
    assert_folder_is_sound(ours.data)
    with theirs:
        wire = Wire(theirs.address)
        assert wire.catalogue() == sorted(REPOSITORIES)
        for repository in REPOSITORIES:
            assert_serves(wire, repository, content())


def test_a_manifest_of_the_peer_has_no_referrers_and_can_get_some(ours: Daemon, theirs: Peer) -> None:
    write_with(theirs)
    subject = content()["oci"].manifest
    with ours:
        wire = Wire(ours.address)
        target = f"/v2/lib/app/referrers/{subject.digest}"
        answer = wire.request("GET", target)
        assert (answer.status, answer.json()["manifests"]) == (200, [])
        signature = build_image("signature", layers=1, subject=subject)
        wire.push_image("lib/app", signature.manifest.digest, signature)
        listed = wire.request("GET", target).json()["manifests"]
        assert isinstance(listed, list)
        assert [entry["digest"] for entry in listed] == [signature.manifest.digest]
    with theirs:
        assert Wire(theirs.address).manifest("lib/app", signature.manifest.digest).body == signature.manifest.content
        assert_serves(Wire(theirs.address), "lib/app", content())


def change_a_bit(wire: Wire) -> dict[str, Image | Index]:
    """Retag, untag is left out (the peer cannot), delete a manifest with all its tags; returns what is left."""
    left = content()
    gone, moved = left.pop("schema2"), left["oci"]
    assert wire.put_manifest("lib/app", "zz-moved", moved.manifest).status == 201
    assert wire.put_manifest("lib/app", "also-gone", gone.manifest).status == 201
    assert wire.delete("lib/app", "manifests", gone.manifest.digest).status == 202
    left["zz-moved"] = moved
    return left


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_tags_moved_and_manifests_deleted_by_one_are_so_for_the_other(first: str, ours: Daemon, theirs: Peer) -> None:
    changer: Daemon | Peer = ours if first == "ours" else theirs
    reader: Daemon | Peer = theirs if first == "ours" else ours
    write_with(reader)
    with changer:
        left = change_a_bit(Wire(changer.address))
        assert_serves(Wire(changer.address), "lib/app", left)
    with reader:
        wire = Wire(reader.address)
        assert_serves(wire, "lib/app", left)
        assert_serves(wire, "zoo", content())
        deleted = content()["schema2"].manifest.digest
        assert wire.manifest("lib/app", deleted).status == 404
        assert wire.manifest("lib/app", "also-gone").status == 404


def test_a_tag_and_a_blob_that_we_delete_are_gone_for_the_peer(ours: Daemon, theirs: Peer) -> None:
    write_with(theirs)
    spare = random.Random("spare").randbytes(1000)
    with ours:
        wire = Wire(ours.address)
        digest = wire.push_blob("zoo", spare)
        assert wire.delete("zoo", "manifests", "oci").status == 202
        assert wire.delete("zoo", "blobs", digest).status == 202
        assert wire.blob("zoo", digest).status == 404
    left = content()
    untagged = left.pop("oci").manifest
    with theirs:
        wire = Wire(theirs.address)
        assert_serves(wire, "zoo", left)
        assert wire.manifest("zoo", untagged.digest).body == untagged.content
        assert wire.blob("zoo", digest).status == 404


def sha512_image() -> Image:
    made = build_image("sha512", layers=2)
    layers = [Blob(layer.content, layer.media_type, algorithm="sha512") for layer in made.layers]
    return image_of(Blob(made.config.content, made.config.media_type, algorithm="sha512"), layers)


def push_ours_only(wire: Wire) -> Image:
    """What the peer cannot write: sha512 content, and a manifest whose payload does not say its type."""
    image = sha512_image()
    for blob in image.blobs:
        location = wire.start_upload("lib/app")
        answer = wire.finish(location, blob.digest, blob.content)
        assert answer.status == 201, (answer.status, answer.body)
    assert wire.put_manifest("lib/app", "sha512-blobs", image.manifest).status == 201
    named = Blob(image.manifest.content, image.manifest.media_type, algorithm="sha512")
    assert wire.put_manifest("lib/app", named.digest, named).status == 201
    assert wire.manifest("lib/app", named.digest).body == named.content
    return image


def test_sha512_content_does_not_disturb_the_peer(ours: Daemon, theirs: Peer) -> None:
    with ours:
        push(Wire(ours.address), "lib/app", content())
        image = push_ours_only(Wire(ours.address))
    with theirs:
        wire = Wire(theirs.address)
        assert wire.catalogue() == ["lib/app"]
        assert_serves(wire, "lib/app", {**content(), "sha512-blobs": image})


def everything_alive(wire: Wire) -> dict[str, bytes]:
    """What a client can reach from the catalogue: by URL, its bytes."""
    found: dict[str, bytes] = {}
    for repository in wire.catalogue():
        for tag in wire.tags(repository):
            keep(wire, repository, tag, found)
    return found


def keep(wire: Wire, repository: str, reference: str, found: dict[str, bytes]) -> None:
    answer = wire.manifest(repository, reference)
    assert answer.status == 200
    found[f"{repository}/manifests/{reference}"] = answer.body
    manifest = json.loads(answer.body)
    for child in manifest.get("manifests", []):
        keep(wire, repository, child["digest"], found)
    for entry in [manifest["config"], *manifest["layers"]] if "config" in manifest else []:
        blob = wire.blob(repository, entry["digest"])
        assert_content(blob, entry["digest"], reference)
        found[f"{repository}/blobs/{entry['digest']}"] = blob.body


def test_the_peers_garbage_collection_over_our_folder_removes_nothing_alive(ours: Daemon, theirs: Peer) -> None:
    with ours:
        wire = Wire(ours.address)
        for repository in REPOSITORIES:
            push(wire, repository, content())
        change_a_bit(wire)
        push_ours_only(wire)
        subject = content()["oci"].manifest
        signature = build_image("signature", layers=1, subject=subject)
        wire.push_image("lib/app", signature.manifest.digest, signature)
        orphan = wire.push_blob("lib/app", b"nobody names me")
        alive = everything_alive(wire)
    theirs.garbage_collect()
    with ours:
        assert everything_alive(wire) == alive
        assert wire.manifest("lib/app", signature.manifest.digest).body == signature.manifest.content
        listed = wire.request("GET", f"/v2/lib/app/referrers/{subject.digest}").json()["manifests"]
        assert isinstance(listed, list)
        assert [entry["digest"] for entry in listed] == [signature.manifest.digest]
        # Its bytes went while its link stayed: we must not say that it is there.
        assert wire.blob("lib/app", orphan).status == 404
        assert wire.blob("lib/app", orphan, "HEAD").status == 404
        assert wire.push_blob("lib/app", b"nobody names me") == orphan
        assert wire.blob("lib/app", orphan).body == b"nobody names me"
    with theirs:
        assert everything_alive(Wire(theirs.address)) == alive


def test_both_may_serve_one_folder_at_once(ours: Daemon, theirs: Peer) -> None:
    with ours, theirs:
        we, they = Wire(ours.address), Wire(theirs.address)
        for n, (writer, reader) in enumerate([(we, they), (they, we)] * 5):
            image = build_image(f"both/{n}", layers=1, layer_bytes=1000)
            writer.push_image("both", "moving", image)
            writer.push_image("both", f"v{n}", image)
            for reference in ("moving", f"v{n}", image.manifest.digest):
                answer = reader.manifest("both", reference)
                assert (answer.status, answer.body) == (200, image.manifest.content), (n, reference)
            assert reader.blob("both", image.layers[0].digest).body == image.layers[0].content
            assert sorted(reader.tags("both")) == sorted(["moving", *(f"v{k}" for k in range(n + 1))])
        deletes: list[tuple[Wire, Wire]] = [(we, they), (they, we)]
        for n, (deleter, reader) in enumerate(deletes):
            digest = deleter.manifest("both", f"v{n}").headers["docker-content-digest"]
            assert deleter.delete("both", "manifests", digest).status == 202
            assert reader.manifest("both", f"v{n}").status == 404
            assert reader.manifest("both", digest).status == 404
        assert assert_everything_listed_is_whole(we) == assert_everything_listed_is_whole(they)


def test_an_upload_begun_by_the_peer_is_no_obstacle(ours: Daemon, theirs: Peer) -> None:
    body = random.Random("upload").randbytes(100_000)
    with theirs:
        wire = Wire(theirs.address)
        assert wire.patch(wire.start_upload("up"), body[:50_000]).status == 202
    with ours:
        wire = Wire(ours.address)
        assert wire.catalogue() == []
        assert wire.blob("up", wire.push_blob("up", body)).body == body
