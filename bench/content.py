"""What is pushed and pulled: blobs cut from one pool of random bytes, the same in every run.

A blob is a stretch of the pool (begun again where the pool ends) and a tail of 16 bytes that no other blob has.
It takes no memory of its own, however large it is, and its pages are those of the pool: touched when that is made.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

SEED = 20_240_229
POOL_BYTES = 64 * MIB
PIECE_BYTES = MIB
TAIL_BYTES = 16


@dataclass(frozen=True, slots=True)
class Blob:
    """Content to push, and its digest."""

    digest: str
    size_bytes: int
    offset: int
    tail: bytes
    pool: memoryview = field(repr=False)

    def pieces(self) -> Iterator[memoryview]:
        """The content in order, in pieces of at most 1 MiB."""
        yield from _stretch(self.pool, self.offset, self.size_bytes - TAIL_BYTES)
        yield memoryview(self.tail)


class Pool:
    """Makes blobs. Each has a serial number of its own within the run, and so has each blob other content."""

    def __init__(self) -> None:
        self._bytes = memoryview(random.Random(SEED).randbytes(POOL_BYTES))
        self._serial = 0
        self._hashed: dict[tuple[int, int], hashlib._Hash] = {}

    def blob(self, size_bytes: int, *, offset: int = 0) -> Blob:
        """A new blob of *size_bytes* that begins with the pool's bytes from *offset* (taken modulo its size)."""
        self._serial += 1
        tail = self._serial.to_bytes(TAIL_BYTES, "big")
        running = self._hash(offset % POOL_BYTES, size_bytes - TAIL_BYTES)
        running.update(tail)
        return Blob(f"sha256:{running.hexdigest()}", size_bytes, offset % POOL_BYTES, tail, self._bytes)

    def blobs(self, count: int, size_bytes: int, *, step: int = 0) -> list[Blob]:
        """*count* new blobs of the same size, each beginning *step* bytes further into the pool."""
        return [self.blob(size_bytes, offset=number * step) for number in range(count)]

    def _hash(self, offset: int, size_bytes: int) -> "hashlib._Hash":
        # Large blobs share their beginning: it is hashed once, not once a blob.
        if size_bytes < PIECE_BYTES:
            return hashlib.sha256(b"".join(_stretch(self._bytes, offset, size_bytes)))
        known = self._hashed.get((offset, size_bytes))
        if known is None:
            known = hashlib.sha256()
            for piece in _stretch(self._bytes, offset, size_bytes):
                known.update(piece)
            self._hashed[offset, size_bytes] = known
        return known.copy()


def _stretch(pool: memoryview, offset: int, size_bytes: int) -> Iterator[memoryview]:
    left = size_bytes
    while left:
        length = min(left, PIECE_BYTES, POOL_BYTES - offset)
        yield pool[offset : offset + length]
        left -= length
        offset = (offset + length) % POOL_BYTES
