"""The cache of payloads keeps to its room."""

from moorage.metadata.payloads import Payload, PayloadCache
from moorage.oci.digests import Digest


def payload(number: int, size_bytes: int = 20) -> tuple[Digest, Payload]:
    content = bytes([number]) * size_bytes
    return Digest.of(content), Payload(content, "application/x", is_declared=True)


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = PayloadCache(limit_bytes=100)
    entries = [payload(number) for number in range(6)]
    for digest, item in entries[:5]:
        cache.put(digest, item)
    assert cache.get(entries[0][0]) is entries[0][1]
    cache.put(*entries[5])
    assert [cache.get(digest) is not None for digest, _ in entries] == [True, False, True, True, True, True]


def test_the_same_payload_takes_room_once() -> None:
    cache = PayloadCache(limit_bytes=100)
    first, second = payload(1), payload(2)
    cache.put(*first)
    for _ in range(20):
        cache.put(*second)
    assert cache.get(first[0]) is not None


def test_one_large_payload_does_not_push_out_all_others() -> None:
    cache = PayloadCache(limit_bytes=100)
    small, large = payload(1), payload(2, 26)
    cache.put(*small)
    cache.put(*large)
    assert cache.get(large[0]) is None
    assert cache.get(small[0]) is not None
