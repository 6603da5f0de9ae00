"""Comparison of this machine's clock with others: leases, tokens and signatures of requests need them to agree."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from moorage.doctor.diagnosis import Report

_ODD = timedelta(seconds=5)
"""A difference that is not the network's, nor of times that are told in whole seconds."""
_WRONG = timedelta(seconds=30)

Now = Callable[[], datetime]


def machine_time() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


def compare_clocks(report: Report, whose: str, theirs: datetime, *, asked: datetime, answered: datetime) -> None:
    """Compare a clock that was asked between two moments of ours with our own; the time between is in its favour."""
    early, late = asked - theirs, theirs - answered
    difference, ahead = (early, True) if early > late else (late, False)
    check = f"clock: {whose}"
    if difference < _ODD:
        report.good(check, f"it agrees with that of this machine to {_ODD.total_seconds():g} s")
        return
    words = "ahead of" if ahead else "behind"
    said = f"the clock of this machine is {difference.total_seconds():.0f} s {words} it"
    remedy = "have both follow one time server (chrony, systemd-timesyncd)"
    (report.fail if difference >= _WRONG else report.warn)(check, said, remedy)
