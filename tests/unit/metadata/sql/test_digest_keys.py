"""The field's values as columns keep them, and back."""

import hashlib
import random

import pytest

from moorage.metadata.sql.digest_keys import digest_key, digest_of, encoded_key
from moorage.oci.digests import Digest


def digests(count: int) -> list[Digest]:
    """Digests of both algorithms, always the same."""
    made = [hashlib.new(name, str(n).encode()).hexdigest() for n in range(count) for name in ("sha256", "sha512")]
    return [Digest("sha256" if len(encoded) == 64 else "sha512", encoded) for encoded in made]


def test_a_digest_comes_back_from_its_key() -> None:
    for digest in digests(50):
        assert digest_of(digest_key(digest)) == digest
        assert encoded_key(digest.encoded) == digest_key(digest)


def test_a_key_is_a_byte_for_the_algorithm_and_the_digest_s_own_bytes() -> None:
    content = b"hello"
    for name, code, length in (("sha256", 1, 33), ("sha512", 2, 65)):
        digest = Digest.parse(f"{name}:{hashlib.new(name, content).hexdigest()}")
        key = digest_key(digest)
        assert key == bytes([code]) + hashlib.new(name, content).digest()
        assert len(key) == length


def test_keys_sort_as_the_texts_do() -> None:
    shuffled = digests(200)
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=digest_key) == sorted(shuffled, key=str)


def test_digests_of_the_same_bytes_and_different_algorithms_have_different_keys() -> None:
    assert len({digest_key(digest) for digest in digests(200)}) == 400


@pytest.mark.parametrize("key", [b"", b"\x00" + bytes(32), b"\x03" + bytes(32)])
def test_a_key_of_no_algorithm_is_an_error(key: bytes) -> None:
    with pytest.raises((KeyError, IndexError)):
        digest_of(key)
