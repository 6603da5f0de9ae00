"""A bucket that fills by itself: how much it lets through, and when a client may come back."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.limits.rates import Rate

TIMES = st.lists(st.floats(0, 3), min_size=1, max_size=80)
RATES = st.builds(
    Rate,
    name=st.just("each"),
    count=st.integers(1, 50),
    period_s=st.sampled_from([1.0, 60.0]),
    burst=st.integers(1, 20),
    blocks=st.just(True),
)


def admitted(rate: Rate, pauses: list[float]) -> list[float]:
    """The moments at which requests were let through, if they come after these pauses."""
    now, full_at, moments = 0.0, 0.0, []
    for pause in pauses:
        now += pause
        verdict = rate.verdict(full_at - now)
        if verdict.is_allowed:
            full_at = now + verdict.lacking_s
            moments.append(now + verdict.wait_s)
    return moments


@given(RATES, TIMES)
def test_never_more_than_the_burst_and_what_came_meanwhile(rate: Rate, pauses: list[float]) -> None:
    moments = admitted(rate, pauses)
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            most = rate.burst + (moments[last] - start) / rate.token_s
            assert last - first + 1 <= most + 0.01


@given(RATES, TIMES, st.floats(0.1, 10))
def test_waiting_lets_no_more_through(rate: Rate, pauses: list[float], patience_s: float) -> None:
    patient = Rate(
        name="p", count=rate.count, period_s=rate.period_s, burst=rate.burst, blocks=True, patience_s=patience_s
    )
    moments = admitted(patient, pauses)
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            most = rate.burst + (moments[last] - start) / rate.token_s
            assert last - first + 1 <= most + 0.01


@given(RATES, st.floats(0, 5000))
def test_who_is_refused_knows_when_to_come_back_and_gets_in_then(rate: Rate, lacking_s: float) -> None:
    verdict = rate.verdict(lacking_s)
    if verdict.is_allowed:
        assert verdict.retry_after_s == 0
        return
    assert verdict.retry_after_s > 0
    assert rate.verdict(verdict.lacking_s - verdict.retry_after_s).is_allowed


@given(RATES, st.floats(0.001, 0.9))
def test_a_client_that_asks_faster_than_the_rate_is_let_in_at_the_rate(rate: Rate, share: float) -> None:
    """GitLab's registry takes the fraction of a token from whoever is refused, so that such a client never gets in."""
    pause_s = rate.token_s * share
    count = int(20 / share)
    moments = admitted(rate, [pause_s] * count)
    assert len(moments) >= rate.burst // 2 + int(count * share) // 2 - rate.burst or len(moments) >= 10


def test_what_a_client_is_told() -> None:
    rate = Rate(name="each", count=10, period_s=60.0, burst=4, blocks=True)
    verdict = rate.verdict(0)
    assert (verdict.remaining, verdict.reset_s, verdict.used) == (3, 6, 0.25)
    verdict = rate.verdict(24)
    assert (verdict.is_allowed, verdict.remaining, verdict.reset_s, verdict.retry_after_s) == (False, 0, 24, 6.0)


def test_a_limit_that_was_changed_does_not_keep_a_client_out_for_long() -> None:
    rate = Rate(name="each", count=10, period_s=1.0, burst=10, blocks=True)
    assert rate.verdict(1_000_000).retry_after_s <= 0.2
