"""The field's values as columns keep them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

from moorage.oci.digests import Algorithm, Digest

_CODES: dict[str, bytes] = {"sha256": b"\x01", "sha512": b"\x02"}
_SHA256_LENGTH = 64
_ALGORITHMS: dict[int, Algorithm] = {1: "sha256", 2: "sha512"}


def digest_key(digest: Digest) -> bytes:
    """A digest as a column keeps it: a byte for its algorithm, then its own bytes.

    The order of keys is that of the digests' texts. Source: GitLab features MDB-001.
    """
    return _CODES[digest.algorithm] + bytes.fromhex(digest.encoded)


def encoded_key(encoded: str) -> bytes:
    """As :func:`digest_key`, for a digest whose algorithm shows in its length."""
    return _CODES["sha256" if len(encoded) == _SHA256_LENGTH else "sha512"] + bytes.fromhex(encoded)


@lru_cache(maxsize=1024)
def digest_of(key: bytes) -> Digest:
    """The digest in a column. The same few are asked for again and again."""
    return Digest(_ALGORITHMS[key[0]], key[1:].hex())


PORTION = 500
"""So many digests one statement is about at most, where the statement runs on the event loop."""


async def portions(keys: Sequence[bytes]) -> AsyncIterator[list[bytes]]:
    """Parts of *keys*; in between others have the event loop."""
    for start in range(0, len(keys), PORTION):
        if start:
            await asyncio.sleep(0)
        yield list(keys[start : start + PORTION])
