"""What a worker remembers of links: bounded, ended by time, and void in all processes of the node at once."""

import os
from datetime import timedelta

from moorage.cache.known_links import KnownLinks
from moorage.cache.shared_changes import SharedChanges
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

NAME = RepositoryName("group/app")
DIGEST = Digest.of(b"a blob")


async def learn(known: KnownLinks[int]) -> None:
    _, mark = await known.look(NAME, DIGEST)
    await known.keep(NAME, DIGEST, 6, mark=mark)


async def found(known: KnownLinks[int]) -> int | None:
    return (await known.look(NAME, DIGEST))[0]


async def test_with_room_for_nothing_nothing_is_known() -> None:
    known = KnownLinks[int](0)
    await learn(known)
    assert await found(known) is None


async def test_one_worker_makes_void_what_the_others_remember() -> None:
    changes = SharedChanges()
    one, two = KnownLinks[int](10, changes), KnownLinks[int](10, changes)
    for known in (one, two):
        await learn(known)
    await one.take_away(NAME, DIGEST)
    assert await found(two) is None


async def test_what_is_remembered_ends_by_itself_however_often_it_is_asked_for() -> None:
    seconds = [0.0]
    known = KnownLinks[int](10, age=timedelta(seconds=60), monotonic=lambda: seconds[0])
    await learn(known)
    for _ in range(59):
        seconds[0] += 1
        assert await found(known) == 6
    seconds[0] += 1
    assert await found(known) is None


def test_a_doubt_is_shared_by_processes_and_ends() -> None:
    now_ns = [0]
    changes = SharedChanges(lambda: now_ns[0])
    child = os.fork()
    if child == 0:
        changes.doubt(timedelta(seconds=60))
        os._exit(0)
    os.waitpid(child, 0)
    assert changes.is_doubtful
    changes.doubt(timedelta(seconds=1))  # It does not end the other one.
    now_ns[0] = 59_000_000_000
    assert changes.is_doubtful
    now_ns[0] = 60_000_000_000
    assert not changes.is_doubtful


def test_a_change_is_seen_by_processes_that_were_forked_after_it_was_made() -> None:
    changes = SharedChanges()
    before = changes.mark
    child = os.fork()
    if child == 0:
        changes.note()
        os._exit(0)
    os.waitpid(child, 0)
    assert changes.mark != before
