"""What is remembered of links: never what was taken away, in any process of the node."""

import os
from datetime import timedelta

from moorage.cache.known_links import KnownLinks
from moorage.cache.shared_changes import SharedChanges
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

NAME, OTHER = RepositoryName("group/app"), RepositoryName("group/other")
DIGEST = Digest.of(b"a blob")


def test_what_was_seen_is_known_in_its_repository_only() -> None:
    known = KnownLinks[int](10)
    known.put(NAME, DIGEST, 6, mark=known.mark)
    assert (known.get(NAME, DIGEST), known.get(OTHER, DIGEST)) == (6, None)
    known.forget(NAME, DIGEST)
    assert known.get(NAME, DIGEST) is None


def test_with_room_for_nothing_nothing_is_known() -> None:
    known = KnownLinks[int](0)
    known.put(NAME, DIGEST, 6, mark=known.mark)
    assert known.get(NAME, DIGEST) is None


def test_what_storage_said_before_a_deletion_is_not_remembered_after_it() -> None:
    known = KnownLinks[int](10)
    mark = known.mark
    known.forget_all()  # A deletion that is quicker than the answer.
    known.put(NAME, DIGEST, 6, mark=mark)
    assert known.get(NAME, DIGEST) is None


def test_one_worker_makes_void_what_the_others_remember() -> None:
    changes = SharedChanges()
    one, two = KnownLinks[int](10, changes), KnownLinks[int](10, changes)
    for known in (one, two):
        known.put(NAME, DIGEST, 6, mark=known.mark)
    one.forget_all()
    assert two.get(NAME, DIGEST) is None


def test_what_is_remembered_ends_by_itself() -> None:
    known = KnownLinks[int](10, age=timedelta(0))
    known.put(NAME, DIGEST, 6, mark=known.mark)
    assert known.get(NAME, DIGEST) is None


def test_a_change_is_seen_by_processes_that_were_forked_after_it_was_made() -> None:
    changes = SharedChanges()
    before = changes.mark
    child = os.fork()
    if child == 0:
        changes.note()
        os._exit(0)
    os.waitpid(child, 0)
    assert changes.mark != before
