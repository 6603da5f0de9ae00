"""Small real images made from a seed: no network, no build tool, the same bytes every time."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

Family = Literal["oci", "docker"]

_CONFIG = {
    "oci": "application/vnd.oci.image.config.v1+json",
    "docker": "application/vnd.docker.container.image.v1+json",
}
_LAYER = {
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
    "docker": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_CREATED = "2024-01-02T03:04:05Z"


@dataclass(frozen=True)
class Blob:
    """Bytes with their media type and, where it matters, their platform."""

    content: bytes
    media_type: str
    platform: Mapping[str, str] | None = None
    algorithm: Literal["sha256", "sha512"] = "sha256"

    @property
    def digest(self) -> str:
        return f"{self.algorithm}:{hashlib.new(self.algorithm, self.content).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, object]:
        described = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}
        return described | ({"platform": dict(self.platform)} if self.platform else {})


@dataclass(frozen=True)
class Image:
    """A manifest and the blobs it names."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (self.config, *self.layers)

    @property
    def parts(self) -> tuple[Blob, ...]:
        """All that an OCI layout must hold for it."""
        return (*self.blobs, self.manifest)


@dataclass(frozen=True)
class Index:
    """A manifest that lists images for several platforms."""

    manifest: Blob
    images: tuple[Image, ...]

    @property
    def parts(self) -> tuple[Blob, ...]:
        return (*(part for image in self.images for part in image.parts), self.manifest)


def layer_of(files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """A layer with these files: its tar, and the tar compressed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue(), gzip.compress(raw.getvalue(), 1, mtime=0)


def build_image(
    seed: str,
    *,
    layers: int = 2,
    layer_bytes: int = 32 << 10,
    family: Family = "oci",
    architecture: str = "amd64",
    subject: Blob | None = None,
) -> Image:
    """An image whose layers hold random bytes from *seed*; a referrer of *subject* if there is one."""
    source = random.Random(seed)
    tars = [layer_of({f"srv/{n}.bin": source.randbytes(layer_bytes)}) for n in range(layers)]
    config = {
        "created": _CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"seed": seed}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(raw).hexdigest()}" for raw, _ in tars]},
        "history": [{"created": _CREATED, "created_by": f"layer {n}"} for n in range(layers)],
    }
    blobs = tuple(Blob(packed, _LAYER[family]) for _, packed in tars)
    return image_of(Blob(json.dumps(config).encode(), _CONFIG[family]), blobs, family=family, subject=subject)


def image_of_files(files: Mapping[str, bytes]) -> Image:
    """An image for amd64 of one layer, which holds *files*."""
    raw, packed = layer_of(files)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(raw).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    return image_of(Blob(config, _CONFIG["oci"]), [Blob(packed, _LAYER["oci"])])


def image_of(config: Blob, layers: Sequence[Blob], *, family: Family = "oci", subject: Blob | None = None) -> Image:
    """The image that consists of these blobs."""
    media_type = OCI_MANIFEST if family == "oci" else DOCKER_MANIFEST
    body: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor,
        "layers": [layer.descriptor for layer in layers],
    }
    if subject is not None:
        body["subject"] = subject.descriptor
    platform = None
    if config.media_type in _CONFIG.values() and b'"architecture"' in config.content:
        read = json.loads(config.content)
        platform = {"architecture": read["architecture"], "os": read["os"]}
    return Image(Blob(json.dumps(body).encode(), media_type, platform), config, tuple(layers))


def build_index(seed: str, *, family: Family = "oci", architectures: Sequence[str] = ("amd64", "arm64")) -> Index:
    """An index with one image for each architecture."""
    images = tuple(build_image(f"{seed}/{a}", family=family, architecture=a) for a in architectures)
    media_type = OCI_INDEX if family == "oci" else DOCKER_LIST
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [image.manifest.descriptor for image in images],
    }
    return Index(Blob(json.dumps(body).encode(), media_type), images)


def write_layout(folder: Path, tagged: Mapping[str, Image | Index]) -> Path:
    """Write an OCI image layout with these tags and return *folder*."""
    entries = []
    for tag, what in tagged.items():
        for part in what.parts:
            path = folder / "blobs" / part.digest.replace(":", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(part.content)
        entries.append(what.manifest.descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}})
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder


def layout_digests(folder: Path) -> set[str]:
    """The digests of all blobs in an OCI layout, each checked against its bytes."""
    found = set()
    for path in (folder / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        found.add(f"sha256:{path.name}")
    return found
