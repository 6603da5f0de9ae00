"""Which replicas are left alone, by the clock."""

import pytest

from moorage.sql.replicas.replica_bench import LAG_BYTES, ReplicaBench, lags
from moorage.sql.replicas.replica_discovery import ReplicaAddress
from support.clock import Clock

ONE = ReplicaAddress("10.0.0.1", 5432)
OTHER = ReplicaAddress("10.0.0.2", 5432)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quarantine(clock: Clock) -> ReplicaBench:
    return ReplicaBench(clock)


def test_three_failures_in_a_row_are_five_minutes(quarantine: ReplicaBench, clock: Clock) -> None:
    quarantine.note_failure(ONE)
    quarantine.note_failure(ONE)
    assert not quarantine.holds(ONE)
    quarantine.note_failure(ONE)
    assert quarantine.holds(ONE)
    assert not quarantine.holds(OTHER)
    clock.now += 299.9
    assert quarantine.holds(ONE)
    clock.now += 0.1
    assert not quarantine.holds(ONE)


def test_failures_between_answers_do_not_add_up(quarantine: ReplicaBench) -> None:
    for _ in range(5):
        quarantine.note_failure(ONE)
        quarantine.note_failure(ONE)
        quarantine.note_answer(ONE)
    assert not quarantine.holds(ONE)


def test_five_changes_within_a_minute_are_five_minutes(quarantine: ReplicaBench, clock: Clock) -> None:
    for _ in range(4):
        quarantine.note_change(ONE)
        clock.now += 14.9
    assert not quarantine.holds(ONE)
    quarantine.note_change(ONE)
    assert quarantine.holds(ONE)
    clock.now += 300
    assert not quarantine.holds(ONE)


def test_changes_over_more_than_a_minute_are_nothing(quarantine: ReplicaBench, clock: Clock) -> None:
    for _ in range(20):
        quarantine.note_change(ONE)
        clock.now += 15
    assert not quarantine.holds(ONE)


def test_after_quarantine_the_count_begins_anew(quarantine: ReplicaBench, clock: Clock) -> None:
    for _ in range(3):
        quarantine.note_failure(ONE)
    clock.now += 300
    assert not quarantine.holds(ONE)
    quarantine.note_failure(ONE)
    quarantine.note_failure(ONE)
    assert not quarantine.holds(ONE)


def test_a_failure_in_quarantine_does_not_prolong_it(quarantine: ReplicaBench, clock: Clock) -> None:
    for _ in range(3):
        quarantine.note_failure(ONE)
    clock.now += 200
    quarantine.note_failure(ONE)
    clock.now += 100
    assert not quarantine.holds(ONE)


@pytest.mark.parametrize(
    ("seconds", "lag_bytes", "is_too_far"),
    [
        (31.0, LAG_BYTES + 1, True),
        (30.0, LAG_BYTES + 1, False),
        (31.0, LAG_BYTES, False),
        (3600.0, 0, False),  # an idle primary
        (0.0, 1 << 40, False),
    ],
)
def test_lag_counts_in_time_and_in_bytes_together(seconds: float, lag_bytes: int, is_too_far: bool) -> None:  # noqa: FBT001 - a column of the table
    assert lags(seconds, lag_bytes) is is_too_far
