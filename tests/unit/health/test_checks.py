"""Checks of files, URLs and addresses that are real, and of those that hang."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moorage.health.checks import AddressCheck, CheckFailed, FileCheck, URLCheck
from support.ports import free_port


@asynccontextmanager
async def answering(status: int, *, heads: list[bytes] | None = None) -> AsyncIterator[int]:
    """A server that answers everything with one status."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def test_a_file_says_no_as_long_as_it_is_there(tmp_path: Path) -> None:
    down = tmp_path / "down"
    check = FileCheck(str(down))
    await check()
    down.touch()
    with pytest.raises(CheckFailed, match="file exists"):
        await check()
    down.unlink()
    await check()


async def test_a_file_below_what_is_no_folder_cannot_be_judged(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(CheckFailed, match="Not a directory"):
        await FileCheck(str(tmp_path / "plain" / "down"))()


async def test_a_relative_file_is_looked_for_where_the_process_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check = FileCheck("down")
    (tmp_path / "down").touch()
    monkeypatch.chdir("/")
    with pytest.raises(CheckFailed):
        await check()


async def test_a_disk_that_hangs_costs_one_thread_however_often_it_is_asked(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    check = FileCheck(str(fifo))
    loop = asyncio.get_running_loop()
    release = loop.create_future()
    check._looking = release  # As a stat would be that does not come back.
    asked = [asyncio.create_task(check()) for _ in range(50)]
    await asyncio.sleep(0)
    assert check._looking is release
    release.set_result(False)
    await asyncio.gather(*asked)


@pytest.mark.parametrize(("status", "wanted", "is_well"), [(200, 200, True), (503, 200, False), (404, 404, True)])
async def test_a_url_is_well_by_its_status(*, status: int, wanted: int, is_well: bool) -> None:
    async with answering(status) as port:
        check = URLCheck(f"http://127.0.0.1:{port}/up", status=wanted, headers={})
        if is_well:
            await check()
            return
        with pytest.raises(CheckFailed, match=f"unexpected status: {status}"):
            await check()


async def test_a_url_is_asked_with_head_and_every_header() -> None:
    heads: list[bytes] = []
    async with answering(200, heads=heads) as port:
        await URLCheck(f"http://127.0.0.1:{port}/up", headers={"X-A": ["1", "2"], "User-Agent": ["me"]})()
    assert heads[0].startswith(b"HEAD /up HTTP/1.1\r\n")
    lines = heads[0].split(b"\r\n")
    assert {b"X-A: 1", b"X-A: 2", b"User-Agent: me"} <= set(lines)
    assert sum(line.lower().startswith(b"user-agent:") for line in lines) == 1


async def test_a_failed_url_does_not_tell_its_password() -> None:
    check = URLCheck(f"http://user:hunter2@127.0.0.1:{free_port()}/", headers={})
    with pytest.raises(CheckFailed) as raised:
        await check()
    assert "hunter2" not in str(raised.value)


async def test_an_address_is_well_if_it_takes_a_connection() -> None:
    async with answering(200) as port:
        await AddressCheck(f"127.0.0.1:{port}")()
    with pytest.raises(CheckFailed, match="connection failed"):
        await AddressCheck(f"127.0.0.1:{free_port()}")()
