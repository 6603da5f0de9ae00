"""Bad credentials cost who guesses, and not the honest."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from moorage.control.accounts.passwords import KNOWN_WAITING_LIMIT, WAITING_LIMIT, PasswordChecks
from moorage.control.credentials.guesses import Guesses
from moorage.errors import TooManyRequests
from support.control_rows import PASSWORD, new_token, new_user
from support.control_tokens import ask

DEADLINE_S = 60.0


def is_closed(guesses: Guesses, address: str) -> bool:
    try:
        guesses.see_that_it_is_open(address)
    except TooManyRequests:
        return True
    return False


def test_an_address_that_guesses_is_sent_away_and_others_are_not(client: Client) -> None:
    user = new_user("ada", password=PASSWORD)
    given = ("ada", new_token(user, "api").secret)
    seen = [ask(client, given=("ada", f"wrong{n}"), address="198.51.100.7").status_code for n in range(6)]
    assert (seen[0], seen[-1]) == (401, 429)
    away = ask(client, given=("ada", PASSWORD), address="198.51.100.7")
    assert away.status_code == 429
    assert int(away["Retry-After"]) >= 1
    assert away.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert ask(client, given=given, address="198.51.100.7").status_code == 200
    assert ask(client, given=("ada", PASSWORD), address="203.0.113.9").status_code == 200


@pytest.mark.parametrize(
    ("addresses", "neighbour", "stranger"),
    [
        ([f"2001:db8:0:{n:x}::1" for n in range(20)], "2001:db8:0:ff::1", "2001:db9::1"),  # One /56, and its /48.
        ([f"2001:db8:0:{n:x}00::1" for n in range(20)], "2001:db8:0:ffff::1", "2001:db9::1"),  # One /48.
        ([f"198.51.100.{n}" for n in range(20)], "198.51.100.200", "203.0.113.1"),  # One /24.
    ],
)
def test_who_guesses_from_all_addresses_of_a_network_closes_the_network(
    addresses: list[str], neighbour: str, stranger: str
) -> None:
    guesses = Guesses(monotonic=lambda: 1000.0)
    guesses.note_right(neighbour)
    for address in addresses:
        guesses.note_wrong(address)
    assert is_closed(guesses, addresses[-1])
    assert not is_closed(guesses, neighbour)  # A password was right there.
    assert not is_closed(guesses, stranger)
    another = neighbour.replace("ff", "fe", 1) if ":" in neighbour else "198.51.100.201"
    assert is_closed(guesses, another)


def test_an_address_is_open_again_after_a_moment() -> None:
    now = [1000.0]
    guesses = Guesses(monotonic=lambda: now[0])
    for _ in range(10):
        guesses.note_wrong("198.51.100.7")
    assert is_closed(guesses, "198.51.100.7")
    now[0] += 6
    assert not is_closed(guesses, "198.51.100.7")


@contextmanager
def held_up(checks: PasswordChecks) -> Iterator[None]:
    """The thread that hashes waits meanwhile."""
    checks.is_right(None, "x")
    assert checks._thread is not None
    event = threading.Event()
    checks._thread.submit(event.wait, DEADLINE_S)
    try:
        yield
    finally:
        event.set()


def waiting(checks: PasswordChecks, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while checks._waiting < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_guessers_leave_room_for_those_who_were_right_lately() -> None:
    checks, found = PasswordChecks(), list[bool]()
    hashed = make_password(PASSWORD)

    def check(number: int, *, is_known: bool) -> None:
        found.append(checks.is_right(hashed, PASSWORD if is_known else f"wrong{number}", is_known=is_known))

    with held_up(checks):
        threads = [
            threading.Thread(target=check, args=(number,), kwargs={"is_known": number >= WAITING_LIMIT})
            for number in range(KNOWN_WAITING_LIMIT)
        ]
        for number, thread in enumerate(threads):
            thread.start()
            waiting(checks, number + 1)
            if number + 1 == WAITING_LIMIT:
                with pytest.raises(TooManyRequests, match="too many passwords"):
                    checks.is_right(hashed, "another")
        with pytest.raises(TooManyRequests, match="too many passwords"):
            checks.is_right(hashed, "another", is_known=True)
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(found) == [False, False, False, True, True]


def test_a_password_that_comes_several_times_at_once_is_hashed_once() -> None:
    checks, found = PasswordChecks(), list[bool]()
    hashed = make_password(PASSWORD)
    with held_up(checks):
        threads = [threading.Thread(target=lambda: found.append(checks.is_right(hashed, PASSWORD))) for _ in range(3)]
        for thread in threads:
            thread.start()
        waiting(checks, 3)
        assert len(checks._checking) == 1
    for thread in threads:
        thread.join(DEADLINE_S)
    assert found == [True, True, True]
    assert not checks._checking
