"""Files that say who is at work, between processes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.presence import Activity, HeldFile, announce, others_at_work

HOLD = """
import asyncio, sys
from pathlib import Path
from moorage.storage.presence import Activity, announce
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

async def main():
    held = await announce(FilesystemDriver(Path(sys.argv[1])), Activity.WRITING)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_is_at_work_until_it_is_killed(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    (found,) = await others_at_work(storage, Activity.WRITING)
    assert f"process {process.pid}" in found.who
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await others_at_work(storage, Activity.WRITING) == []
    assert await storage.list(paths.LOCK_FILES) == []
    await storage.close()


async def test_a_process_that_was_forked_goes_on_holding_what_its_parent_held(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)
    announcement = await announce(storage, Activity.WRITING)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(told, 1)
        os._exit(0)
    assert isinstance(announcement, HeldFile)
    await announcement._writer.close()  # As if the parent had been killed: its descriptor is gone, the file stays.
    assert len(await others_at_work(storage, Activity.WRITING)) == 1
    os.write(tell, b".")
    await asyncio.to_thread(os.waitpid, child, 0)
    assert await others_at_work(storage, Activity.WRITING) == []
    os.close(told)
    os.close(tell)
    await storage.close()


async def test_of_two_that_begin_at_once_at_least_one_sees_the_other(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)

    held = []

    async def begin(ours: Activity, theirs: Activity) -> bool:
        announcement = await announce(storage, ours)
        held.append(announcement)
        return bool(await others_at_work(storage, theirs, but=announcement))

    seen = await asyncio.gather(
        begin(Activity.WRITING, Activity.COLLECTING), begin(Activity.COLLECTING, Activity.WRITING)
    )
    assert any(seen)
    await storage.close()
