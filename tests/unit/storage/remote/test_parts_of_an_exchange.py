"""Attempts, rate, trust and proxies."""

import ssl
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError
from moorage.storage.remote.attempts import AttemptBudget, AttemptLimits, Attempts, AttemptTimes
from moorage.storage.remote.pools import Pools, Trust
from moorage.storage.remote.rate import RequestRate


class Time:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now_s += seconds


def attempts(time: Time, *, chance: float = 1.0, retries: int = 100) -> Attempts:
    times = AttemptTimes(now=time.now, sleep=time.sleep, chance=lambda: chance)
    return Attempts(AttemptLimits(retries=retries), AttemptBudget(), times)


async def test_no_pause_is_longer_than_the_bound_and_no_attempt_begins_after_the_deadline() -> None:
    time = Time()
    trying = attempts(time)
    while await trying.again():
        pass
    assert time.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0]
    assert time.now_s - 100 < 60


async def test_who_was_stopped_in_a_pause_does_not_ask_again() -> None:
    """Others have taken the request for one that failed, and have done what it would undo."""
    time = Time()

    async def stopped(seconds: float) -> None:
        time.now_s += seconds + 60

    times = AttemptTimes(now=time.now, sleep=stopped, chance=lambda: 1.0)
    assert not await Attempts(AttemptLimits(), AttemptBudget(), times).again()


async def test_a_pause_is_drawn_between_nothing_and_its_bound() -> None:
    time = Time()
    assert await attempts(time, chance=0.0).again()
    assert await attempts(time, chance=0.5).again()
    assert time.slept == [0.0, 0.05]


async def test_no_retries_is_one_attempt() -> None:
    assert not await attempts(Time(), retries=0).again()


def test_successes_fill_the_budget_again_but_not_over_its_edge() -> None:
    budget = AttemptBudget(10)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.give_back(attempts=2)
    assert [budget.take() for _ in range(2)] == [True, False]
    for _ in range(100):
        budget.give_back(attempts=1)
    assert [budget.take() for _ in range(3)] == [True, True, False]


async def test_a_second_of_requests_may_come_at_once_and_then_all_wait_their_turn() -> None:
    time = Time()
    rate = RequestRate(4, now=time.now, sleep=time.sleep)
    assert [await rate.take() for _ in range(4)] == [False] * 4
    assert [await rate.take() for _ in range(3)] == [True] * 3
    assert time.slept == [0.25] * 3
    time.now_s += 1000
    assert [await rate.take() for _ in range(5)] == [False] * 4 + [True]


async def test_a_rate_of_nothing_is_no_limit() -> None:
    time = Time()
    rate = RequestRate(0, now=time.now, sleep=time.sleep)
    assert not any([await rate.take() for _ in range(1000)])


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("nothing")
    for name, said in (("ca", "it holds no certificate in PEM"), ("gone", "No such file or directory")):
        with pytest.raises(ConfigurationError) as caught:
            Trust(ca_file=str(tmp_path / name)).context(key="storage.s3.ca")
        (mistake,) = caught.value.mistakes
        assert (mistake.path, said in mistake.message) == ("storage.s3.ca", True)


def test_any_certificate_will_do_where_that_is_asked_for() -> None:
    assert Trust(is_anyone=True).context(key="").verify_mode == ssl.CERT_NONE
    assert Trust().context(key="").verify_mode == ssl.CERT_REQUIRED


async def test_the_environments_proxy_is_used_but_where_it_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    for host, proxy in (("outside.example", "http://proxy.example:3128"), ("s3.inside.example", "None")):
        pools = Pools(f"http://{host}/", user_agent="x")
        assert str(pools._proxy) == proxy
        await pools.close()
