"""The cache of payloads keeps to its room."""

import gc
import tracemalloc

from moorage.metadata.payloads import ENTRY_BYTES, Payload, PayloadCache
from moorage.oci.digests import Digest


def payload(number: int, size_bytes: int = 20) -> tuple[Digest, Payload]:
    content = bytes([number]) * size_bytes
    return Digest.of(content), Payload(content, "application/x", is_declared=True)


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = PayloadCache(limit_bytes=5 * (20 + ENTRY_BYTES))
    entries = [payload(number) for number in range(6)]
    for digest, item in entries[:5]:
        cache.put(digest, item)
    assert cache.get(entries[0][0]) is entries[0][1]
    cache.put(*entries[5])
    assert [cache.get(digest) is not None for digest, _ in entries] == [True, False, True, True, True, True]


def test_the_same_payload_takes_room_once() -> None:
    cache = PayloadCache(limit_bytes=5 * (20 + ENTRY_BYTES))
    first, second = payload(1), payload(2)
    cache.put(*first)
    for _ in range(20):
        cache.put(*second)
    assert cache.get(first[0]) is not None


def test_one_large_payload_does_not_push_out_all_others() -> None:
    cache = PayloadCache(limit_bytes=5 * (20 + ENTRY_BYTES))
    small, large = payload(1), payload(2, 5 * (20 + ENTRY_BYTES) // 4 + 1)
    cache.put(*small)
    cache.put(*large)
    assert cache.get(large[0]) is None
    assert cache.get(small[0]) is not None


def test_payloads_take_no_more_memory_than_they_may() -> None:
    cache, limit_bytes = PayloadCache(limit_bytes=1 << 20), 1 << 20
    tracemalloc.start()
    try:
        for number in range(3000):
            content = f"{number:0500}".encode()
            cache.put(Digest.of(content), Payload(content, f"application/{number:030}", is_declared=True))
        gc.collect()  # What is in cycles goes when the collector comes by.
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 500 < len(cache) < 3000
    assert held_bytes < 1.1 * limit_bytes
