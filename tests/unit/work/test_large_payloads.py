"""Large payloads: read in a thread, so that an event loop goes on meanwhile."""

import asyncio
import json
import threading

import pytest

from moorage.errors import ManifestInvalid
from moorage.oci.mentions import Mentions, mentions
from moorage.work.large_payloads import ASIDE_BYTES, read_aside

FLAT = b'{"layers":[' + b",".join([b"0"] * ASIDE_BYTES) + b"]}"


async def test_a_small_one_is_read_here_and_a_large_one_aside() -> None:
    readers: list[int] = []

    def read(payload: bytes) -> Mentions:
        readers.append(threading.get_ident())
        return mentions(payload)

    for payload in (b"{}", b" " * (ASIDE_BYTES - 2) + b"{}", b" " * ASIDE_BYTES + b"{}", FLAT):
        assert (await read_aside(read, payload)).references == ()
    here = threading.get_ident()
    assert [reader == here for reader in readers] == [True, True, False, False]


async def test_a_loop_goes_on_while_four_mebibytes_are_read() -> None:
    count = 20_000
    entries = [{"mediaType": "a/b", "digest": f"sha256:{number:064x}", "size": number} for number in range(count)]
    payload = json.dumps({"manifests": entries}).encode()
    reading = asyncio.create_task(read_aside(mentions, payload))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    found = await reading
    assert (len(found.references), len(found.sizes), found.children) == (count, count, ())
    assert turns > 2


async def test_large_ones_are_read_one_after_another_so_that_a_loop_waits_for_one_only() -> None:
    def reader(payload: bytes) -> int:
        del payload
        return threading.get_ident()

    readers = await asyncio.gather(*(read_aside(reader, b" " * ASIDE_BYTES + b"{}") for _ in range(8)))
    assert len(set(readers)) == 1


async def test_what_is_wrong_with_a_large_one_is_told_as_with_a_small_one() -> None:
    for payload in (b"[]", b" " * ASIDE_BYTES + b"[]"):
        with pytest.raises(ManifestInvalid, match="a manifest is a JSON object"):
            await read_aside(mentions, payload)
