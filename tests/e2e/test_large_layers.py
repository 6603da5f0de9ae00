"""Layers of a size that must not pass through memory: 1 GiB by skopeo, 256 MiB resumed after a cut."""

import hashlib
import http.client
import json
import random
from collections.abc import Iterator
from pathlib import Path

from e2e.images import OCI_MANIFEST, Blob, Image, build_image, write_layout
from e2e.settings import config_for
from e2e.wire import OCTETS, Wire, connect, eventually, head
from support.clients import Skopeo
from support.daemon import Daemon

MIB = 1 << 20
GIB = 1 << 30
RSS_LIMIT_BYTES = 256 * MIB


def random_pieces(seed: str, size_bytes: int) -> Iterator[bytes]:
    """Bytes that cannot be compressed, in pieces of 1 MiB."""
    source = random.Random(seed)
    return (source.randbytes(MIB) for _ in range(size_bytes // MIB))


def digest_of(pieces: Iterator[bytes]) -> str:
    hasher = hashlib.sha256()
    for piece in pieces:
        hasher.update(piece)
    return f"sha256:{hasher.hexdigest()}"


def downloaded(address: str, target: str, **headers: str) -> tuple[int, str]:
    """GET a blob without keeping it; returns the status and the digest of what came."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    digest = digest_of(iter(lambda: response.read(MIB), b""))
    connection.close()
    return response.status, digest


def large_layout(folder: Path, seed: str) -> tuple[Path, str]:
    """An OCI layout whose only layer has 1 GiB, written once; returns the layer's digest too."""
    written = folder / "blobs" / "sha256" / "layer"
    written.parent.mkdir(parents=True)
    hasher = hashlib.sha256()
    with written.open("wb") as file:
        for piece in random_pieces(seed, GIB):
            hasher.update(piece)
            file.write(piece)
    written.rename(written.with_name(hasher.hexdigest()))
    digest = f"sha256:{hasher.hexdigest()}"
    config = build_image(seed, layers=0).config
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": GIB}
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor, "layers": [layer]}
    manifest = Blob(json.dumps(body).encode(), OCI_MANIFEST)
    return write_layout(folder, {"large": Image(manifest, config, ())}), digest


def test_a_layer_of_one_gibibyte_goes_in_and_out_by_skopeo_within_little_memory(
    repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    source, digest = large_layout(tmp_path / "source", repository)
    with Daemon(tmp_path / "daemon", config=config_for(tmp_path / "daemon"), workers=2) as daemon:
        skopeo.copy(f"oci:{source}:large", f"docker://{daemon.address}/{repository}:large", timeout_s=200)
        stored = daemon.data.joinpath("docker/registry/v2/blobs/sha256", digest[7:9], digest[7:], "data")
        assert stored.stat().st_size == GIB
        # The source goes before the copy that comes back: never more than two of them on the disk.
        (source / "blobs" / "sha256" / digest[7:]).unlink()
        skopeo.copy(f"docker://{daemon.address}/{repository}:large", f"dir:{tmp_path / 'back'}", timeout_s=200)
        assert (tmp_path / "back" / digest[7:]).stat().st_size == GIB
        (tmp_path / "back" / digest[7:]).unlink()
        assert downloaded(daemon.address, f"/v2/{repository}/blobs/{digest}") == (200, digest)
        last = digest_of(iter(list(random_pieces(repository, GIB))[-1:]))
        ranged = downloaded(daemon.address, f"/v2/{repository}/blobs/{digest}", Range=f"bytes=-{MIB}")
        assert ranged == (206, last)
        assert all(peak < RSS_LIMIT_BYTES for peak in daemon.rss_bytes().values()), daemon.rss_bytes()
        stored.unlink()


def test_an_upload_of_256_mebibytes_cut_in_half_is_resumed_through_two_workers(repository: str, tmp_path: Path) -> None:
    size = 256 * MIB
    digest = digest_of(random_pieces(repository, size))
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        location = wire.start_upload(repository)
        pieces = random_pieces(repository, size)
        with connect(daemon.address) as sock:
            sock.sendall(head("PATCH", location, content_length=str(size), content_type=OCTETS["Content-Type"]))
            for _ in range(size // 2 // MIB):
                sock.sendall(next(pieces))
        offset = resumable_at(wire, location)
        rest = b"".join(random_pieces(repository, size))[offset:]
        # Each request has its own connection, and the kernel deals those out to both workers.
        for start in range(0, len(rest), 16 * MIB):
            answer = wire.patch(location, rest[start : start + 16 * MIB], offset + start)
            assert answer.status == 202, (answer.status, answer.body)
            location = answer.location
        answer = wire.finish(location, digest)
        assert answer.status == 201, (answer.status, answer.body)
        assert downloaded(daemon.address, f"/v2/{repository}/blobs/{digest}") == (200, digest)
        assert all(peak < RSS_LIMIT_BYTES for peak in daemon.rss_bytes().values()), daemon.rss_bytes()


def resumable_at(wire: Wire, location: str) -> int:
    """The offset at which an upload goes on, once the server has noticed that its client is gone."""
    seen: list[int] = []

    def settled() -> bool:
        answer = wire.request("GET", location)
        assert answer.status == 204, (answer.status, answer.body)
        seen.append(answer.offset)
        return len(seen) > 3 and seen[-1] > 1 and len(set(seen[-4:])) == 1

    eventually("the upload's size stands still", settled, within_s=30, every_s=0.25)
    return seen[-1]
