"""The model of promises that collection is held to."""

import pytest

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from property.collection.ledger import DELAY_S, Key, Ledger

KEY = Key(RepositoryName("group/app"), "manifest", Digest.of(b"{}"))


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.promise(KEY, made.stamp())
    return made


def test_what_is_promised_again_in_time_is_held_without_a_break(ledger: Ledger) -> None:
    since = ledger.stamp()
    for _ in range(3):
        ledger.offset_s += DELAY_S / 2
        ledger.promise(KEY, ledger.stamp())
    assert ledger.has_held(KEY, since)


def test_what_is_promised_again_too_late_was_not_held_in_between(ledger: Ledger) -> None:
    """Whoever asked before, and was answered before the second promise, need not have found it."""
    since = ledger.stamp()
    ledger.offset_s += 1.5 * DELAY_S
    assert not ledger.has_held(KEY, since)
    ledger.promise(KEY, ledger.stamp())
    assert not ledger.has_held(KEY, since)
    assert ledger.has_held(KEY, ledger.stamp())


def test_what_was_removed_and_pushed_again_was_not_held_in_between(ledger: Ledger) -> None:
    since = ledger.stamp()
    with ledger.removing([KEY]):
        assert not ledger.has_held(KEY, since)
    assert not ledger.has_held(KEY, since)
    ledger.promise(KEY, ledger.stamp())
    assert not ledger.has_held(KEY, since)
    assert ledger.has_held(KEY, ledger.stamp())


def test_a_promise_whose_time_was_over_when_it_was_given_is_none(ledger: Ledger) -> None:
    since = ledger.stamp()
    ledger.offset_s += 2 * DELAY_S
    ledger.promise(KEY, since)
    assert not ledger.has_held(KEY, since)
