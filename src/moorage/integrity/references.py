"""Which digests something refers to, on disk: a registry may have more of them than fit into memory."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from moorage.errors import DigestInvalid, ManifestInvalid
from moorage.oci.digests import Digest
from moorage.oci.manifests import decode, parse

_BUFFER_BYTES = 16 << 10

Bucket = tuple[str, str]
"""The algorithm and the first two digits, as folders of blobs are cut."""


class References:
    """A set of digests in a temporary folder, in a file for each folder of blobs.

    To ask, one file at a time is read into memory: a few hundredths of all.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="moorage-check-")
        self._buffers: dict[Bucket, bytearray] = {}
        self._loaded: tuple[Bucket, set[bytes]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._folder.cleanup()

    def add(self, digest: Digest) -> None:
        """Note a digest, any number of times."""
        bucket = _bucket(digest)
        buffer = self._buffers.setdefault(bucket, bytearray())
        buffer += bytes.fromhex(digest.encoded)
        if len(buffer) >= _BUFFER_BYTES:
            self._flush(bucket)

    def has(self, digest: Digest) -> bool:
        """Whether it was noted. To be asked in the order of the digests, or it reads its files again and again."""
        bucket = _bucket(digest)
        if self._loaded is None or self._loaded[0] != bucket:
            self._flush(bucket)
            path, length = self._path(bucket), len(digest.encoded) // 2
            content = path.read_bytes() if path.exists() else b""
            self._loaded = bucket, {content[at : at + length] for at in range(0, len(content), length)}
        return bytes.fromhex(digest.encoded) in self._loaded[1]

    def _flush(self, bucket: Bucket) -> None:
        content = self._buffers.pop(bucket, None)
        if content:
            with self._path(bucket).open("ab") as file:
                file.write(content)

    def _path(self, bucket: Bucket) -> Path:
        return Path(self._folder.name) / "-".join(bucket)


def named_in(payload: bytes, media_type: str = "") -> set[Digest]:
    """What a manifest refers to; of one that is not understood, every digest that stands in it.

    Raises:
        ManifestInvalid: it is not even a JSON object.
    """
    value = decode(payload)
    try:
        manifest = parse(payload, media_type)
    except ManifestInvalid:
        return set(_digests_in(value))
    elsewhere = {descriptor.digest for descriptor in manifest.elsewhere}
    config = set() if manifest.config is None else {manifest.config.digest}
    return {ref.descriptor.digest for ref in manifest.references} | elsewhere | config


def _digests_in(value: object) -> list[Digest]:
    found: list[Digest] = []
    left: list[object] = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item
        elif isinstance(item, str):
            try:
                found.append(Digest.parse(item))
            except DigestInvalid:
                continue
    return found


def _bucket(digest: Digest) -> Bucket:
    return digest.algorithm, digest.encoded[:2]
