"""Digests that something refers to, on disk: a registry may have more of them than fit into memory."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from moorage.oci.digests import Digest

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
        self.close()

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def add(self, digest: Digest) -> None:
        """Note a digest, any number of times."""
        bucket = _bucket(digest)
        buffer = self._buffers.setdefault(bucket, bytearray())
        buffer += bytes.fromhex(digest.encoded)
        if len(buffer) >= _BUFFER_BYTES:
            self._flush(bucket)

    def has(self, digest: Digest) -> bool:
        """Return whether it was noted. Ask in the order of the digests, or the files are read again and again."""
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


def _bucket(digest: Digest) -> Bucket:
    return digest.algorithm, digest.encoded[:2]
