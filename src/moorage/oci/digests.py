"""Digests, and the hasher for bytes that pass by."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from moorage.errors import DigestInvalid

Algorithm = Literal["sha256", "sha512"]
"""The algorithms that the OCI image specification registers and this registry computes."""

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
DIGEST_PATTERN = "|".join(f"{algorithm}:[a-f0-9]{{{length}}}" for algorithm, length in _HEX_LENGTH.items())
"""The digests that :meth:`Digest.parse` takes."""
_GRAMMAR = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX = re.compile(r"[a-f0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The address of content: an algorithm and the lower-case hexadecimal of its result.

    Source: image-spec, descriptor § Digests.
    """

    algorithm: Algorithm
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256:…`` or ``sha512:…``.

        Raises:
            DigestInvalid: the text is no digest, or its algorithm is none that this registry computes.
        """
        algorithm, _, encoded = text.partition(":")
        length = _HEX_LENGTH.get(algorithm)
        if length is None:
            if _GRAMMAR.fullmatch(text):
                msg = f"the digest algorithm is not supported; use one of {', '.join(ALGORITHMS)}"
                raise DigestInvalid(msg, algorithm=algorithm[:64])
            msg = "a digest is an algorithm, ':' and its encoded result, such as sha256:<64 hexadecimal digits>"
            raise DigestInvalid(msg, digest=text[:200])
        if len(encoded) != length or _HEX.fullmatch(encoded) is None:
            msg = f"a {algorithm} digest has {length} lower-case hexadecimal digits"
            raise DigestInvalid(msg, digest=text[:200])
        return cls(cast("Algorithm", algorithm), encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: Algorithm = "sha256") -> Self:
        """The digest of *content*."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def digest_or_none(text: object) -> Digest | None:
    """Return the digest that *text* is; None if it is none, or no text at all."""
    try:
        return Digest.parse(text) if isinstance(text, str) else None
    except DigestInvalid:
        return None


def linked_digest(content: bytes) -> Digest | None:
    """Return the digest that the content of a link file is, white space around it or not; None if it is none."""
    return digest_or_none(content.decode("ascii", "replace").strip())


def parse_algorithm(text: str) -> Algorithm:
    """Read the name of a digest algorithm.

    Raises:
        DigestInvalid: it is none that this registry computes.
    """
    if text not in _HEX_LENGTH:
        msg = f"the digest algorithm is not supported; use one of {', '.join(ALGORITHMS)}"
        raise DigestInvalid(msg, algorithm=text[:64])
    return cast("Algorithm", text)


class Hasher:
    """A running digest over bytes that pass by, and how many they were."""

    __slots__ = ("_hash", "algorithm", "size_bytes")

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm: Algorithm = algorithm
        self.size_bytes = 0
        self._hash = hashlib.new(algorithm)

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take in the next bytes. Releases the interpreter lock for large ones."""
        self._hash.update(chunk)
        self.size_bytes += len(chunk)

    def copy(self) -> "Hasher":
        """Another one that has taken in the same bytes."""
        made = Hasher(self.algorithm)
        made.size_bytes, made._hash = self.size_bytes, self._hash.copy()
        return made

    def digest(self) -> Digest:
        """The digest of all bytes so far; more may follow."""
        return Digest(self.algorithm, self._hash.hexdigest())
