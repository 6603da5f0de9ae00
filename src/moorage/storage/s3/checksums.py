"""Checksums of what is sent. Those that Python has not are awscrt's, which the extra ``moorage[s3]`` brings."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moorage.errors import ConfigurationError, Mistake
from moorage.storage.base import ObjectContent

_OF_AWSCRT = {"CRC32C": ("crc32c", 4), "CRC64NVME": ("crc64nvme", 8)}
_HASHES = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class RunningChecksum:
    """A checksum that goes on from a number, piece by piece."""

    name: str
    _size_bytes: int
    _add: Callable[[bytes, int], int]

    def of(self, content: ObjectContent) -> str:
        """Return the checksum of *content*, in base 64."""
        value = 0
        for piece in _pieces(content):
            value = self._add(piece, value)
        return base64.b64encode(value.to_bytes(self._size_bytes, "big")).decode()


@dataclass(frozen=True, slots=True)
class HashChecksum:
    """A checksum that is a hash."""

    name: str

    def of(self, content: ObjectContent) -> str:
        """Return the checksum of *content*, in base 64."""
        hasher = _HASHES[self.name.upper()](usedforsecurity=False)
        for piece in _pieces(content):
            hasher.update(piece)
        return base64.b64encode(hasher.digest()).decode()


def checksum_named(name: str, *, key: str) -> RunningChecksum | HashChecksum | None:
    """Return the checksum of the configuration; None if that names none. *key*: its path there.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    if not name:
        return None
    if name in _HASHES:
        return HashChecksum(name.lower())
    if name == "CRC32":
        return RunningChecksum("crc32", 4, zlib.crc32)
    function, size_bytes = _OF_AWSCRT[name]
    try:
        from awscrt import checksums  # noqa: PLC0415 - 6 MB that most do not need
    except ImportError:
        message = f"{name} needs a package: pip install 'moorage[s3]'; or choose CRC32"
        raise ConfigurationError([Mistake(f"{key}.checksum_algorithm", message)]) from None
    return RunningChecksum(name.lower(), size_bytes, getattr(checksums, function))


def _pieces(content: ObjectContent) -> Sequence[bytes]:
    return [content] if isinstance(content, bytes) else content
