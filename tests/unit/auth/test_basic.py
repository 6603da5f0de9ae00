"""The guard of passwords: one bcrypt a pull, off the event loop, and who guesses waits alone."""

import asyncio
import base64
import threading
from collections.abc import Callable
from itertools import chain

import bcrypt
import pytest

from moorage.auth.access import EVERYTHING, Access, Action
from moorage.auth.basic import PasswordGuard
from moorage.auth.failures import Failures
from moorage.auth.passwords import PasswordFile
from moorage.errors import TooManyRequests, Unauthorized
from moorage.oci.names import RepositoryName
from support.tokens import Visitor
from unit.auth.test_passwords import hashed

PULL = Access.repository(RepositoryName("group/app"), Action.PULL)
HONEST, GUESSING = "192.0.2.1", "198.51.100.7"


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class World:
    """A guard whose clock and sleep are the test's, and which counts its bcrypts."""

    def __init__(self) -> None:
        self.users = PasswordFile.parse(f"ada:{hashed('secret')}\neve:{hashed('word')}".encode())
        self.now = 0.0
        self.slept: list[float] = []
        self.checks: list[str] = []
        self.gates: dict[bytes, threading.Event] = {}
        self.waking = asyncio.Event()
        """Delayed answers wait for it."""
        self.waking.set()
        self.guard = PasswordGuard(
            "Registry",
            lambda: self.users,
            check=self._check,
            failures=Failures(monotonic=lambda: self.now),
            sleep=self._sleep,
            monotonic=lambda: self.now,
        )

    def _check(self, password: bytes, hash_: bytes) -> bool:
        self.checks.append(threading.current_thread().name)
        if password in self.gates:
            assert self.gates[password].wait(20)
        return bcrypt.checkpw(password, hash_)

    async def _sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        await asyncio.sleep(0)
        await self.waking.wait()

    async def guessing(self, number: int, address: str) -> list[asyncio.Task[str]]:
        """So many wrong passwords of an address, whose answers are all held back."""
        self.waking.clear()
        already = len(self.slept)
        tasks = [asyncio.create_task(self.ask(basic("ada", f"{address} {n}"), address)) for n in range(number)]
        while len(self.slept) - already + sum(task.done() for task in tasks) < number:  # noqa: ASYNC110 - the guard cannot say
            await asyncio.sleep(0.001)
        return tasks

    async def ask(self, header: str | None, address: str = HONEST) -> str:
        """Who the guard takes the caller for."""
        headers = {} if header is None else {"Authorization": header}
        grant = await self.guard.check(Visitor(headers, address), PULL)
        assert grant.accesses is None
        assert grant.actor_type == "htpasswd"
        self.guard.require(Visitor(headers, address), grant, PULL)
        return grant.actor

    async def refused(self, header: str | None, address: str = HONEST) -> str:
        with pytest.raises(Unauthorized) as caught:
            await self.ask(header, address)
        assert caught.value.challenge.header == 'Basic realm="Registry", charset="UTF-8"'
        return caught.value.message


@pytest.fixture
def world() -> World:
    return World()


async def test_a_pull_of_many_layers_costs_one_bcrypt(world: World) -> None:
    assert await asyncio.gather(*[world.ask(basic("ada", "secret")) for _ in range(20)]) == ["ada"] * 20
    for _ in range(20):
        assert await world.ask(basic("ada", "secret")) == "ada"
    assert len(world.checks) == 1


async def test_it_is_off_the_event_loop(world: World) -> None:
    await world.ask(basic("ada", "secret"))
    assert all(name.startswith("password") for name in world.checks)


async def test_what_is_remembered_is_forgotten_after_a_while(world: World) -> None:
    await world.ask(basic("ada", "secret"))
    world.now += 299
    await world.ask(basic("ada", "secret"))
    world.now += 2
    await world.ask(basic("ada", "secret"))
    assert len(world.checks) == 2


async def test_a_changed_password_counts_at_once(world: World) -> None:
    await world.ask(basic("ada", "secret"))
    world.users = PasswordFile.parse(f"ada:{hashed('changed')}".encode())
    assert await world.refused(basic("ada", "secret")) == "the user or the password is wrong"
    assert await world.ask(basic("ada", "changed")) == "ada"
    world.users = PasswordFile.parse(b"")
    await world.refused(basic("ada", "changed"))


class TestFileChangesDuringACheck:
    """The first request goes by the old file, and is in its check when the second one comes with the new file."""

    async def both(self, world: World, content: str) -> list[object]:
        gate = world.gates[b"secret"] = threading.Event()
        first = asyncio.create_task(world.ask(basic("ada", "secret")))
        await asyncio.sleep(0)
        world.users = PasswordFile.parse(content.encode())
        second = asyncio.create_task(world.ask(basic("ada", "secret")))
        await asyncio.sleep(0)
        gate.set()
        return list(await asyncio.gather(first, second, return_exceptions=True))

    @pytest.mark.parametrize(
        "content", [f"ada:{hashed('changed')}", "", f"eve:{hashed('word')}"], ids=["changed", "all gone", "gone"]
    )
    async def test_a_password_that_was_changed_or_removed_is_not_taken_for_the_new_one(
        self, world: World, content: str
    ) -> None:
        _, second = await self.both(world, content)
        assert isinstance(second, Unauthorized)
        await world.refused(basic("ada", "secret"))

    async def test_the_same_password_with_another_hash_is_taken(self, world: World) -> None:
        assert await self.both(world, f"ada:{hashed('secret')}") == ["ada", "ada"]

    async def test_a_change_elsewhere_in_the_file_costs_no_second_check(self, world: World) -> None:
        content = f"ada:{world.users.hashes['ada']}\neve:{hashed('changed')}"
        assert await self.both(world, content) == ["ada", "ada"]
        assert len(world.checks) == 1


async def test_no_password_is_kept(world: World) -> None:
    await world.ask(basic("ada", "secret"))
    assert "secret" not in repr(vars(world.guard))
    assert base64.b64encode(b"ada:secret").decode() not in repr(vars(world.guard))


async def test_a_known_and_an_unknown_user_are_told_the_same(world: World) -> None:
    said = [await world.refused(basic(user, "wrong"), user) for user in ("ada", "nobody")]
    assert said[0] == said[1]
    assert len(world.checks) == 2
    assert world.slept == [0.1, 0.1]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !",
        "Basic YQ=",
        "Bearer YWRhOnNlY3JldA==",
        "YWRhOnNlY3JldA==",
        basic("", "x"),
        f"Basic {'A' * 10000}",
    ],
)
async def test_what_is_no_name_and_password_costs_nothing(world: World, header: str | None) -> None:
    assert "authentication required" in await world.refused(header)
    assert (world.checks, world.slept) == ([], [])


@pytest.mark.parametrize("header", ["basic YWRhOnNlY3JldA==", "BASIC  YWRhOnNlY3JldA== "])
async def test_the_scheme_is_read_without_case(world: World, header: str) -> None:
    assert await world.ask(header) == "ada"


async def test_a_password_may_hold_a_colon(world: World) -> None:
    world.users = PasswordFile.parse(f"ada:{hashed('a:b:')}".encode())
    assert await world.ask(basic("ada", "a:b:")) == "ada"


class TestGuessing:
    async def test_each_wrong_password_of_an_address_waits_longer(self, world: World) -> None:
        for number in range(5):
            await world.refused(basic("ada", str(number)), GUESSING)
        assert world.slept == [0.1, 0.2, 0.4, 0.8, 1.6]
        await world.refused(basic("ada", "typo"), HONEST)
        assert world.slept[-1] == 0.1

    async def test_a_right_password_never_waits_also_of_an_address_that_was_wrong(self, world: World) -> None:
        for number in range(10):
            await world.refused(basic("ada", str(number)), GUESSING)
        world.slept.clear()
        assert await world.ask(basic("ada", "secret"), GUESSING) == "ada"
        assert await world.ask(basic("eve", "word"), HONEST) == "eve"
        assert world.slept == []

    async def test_an_honest_client_does_not_stand_in_line_with_those_who_guess(self, world: World) -> None:
        for number in range(3):
            await world.refused(basic("ada", str(number)), GUESSING)
        world.gates = {f"guess {number}".encode(): threading.Event() for number in range(4)}
        guesses = [asyncio.create_task(world.refused(basic("ada", f"guess {number}"), GUESSING)) for number in range(4)]
        await asyncio.sleep(0)
        assert await world.ask(basic("eve", "word"), HONEST) == "eve"
        assert not any(guess.done() for guess in guesses)
        for gate in world.gates.values():
            gate.set()
        await asyncio.gather(*guesses)

    async def test_a_crowd_is_sent_away_and_those_with_a_remembered_password_go_on(self, world: World) -> None:
        await world.ask(basic("ada", "secret"))
        gate = threading.Event()
        world.gates = {f"guess {number}".encode(): gate for number in range(100)}
        tasks = [asyncio.create_task(world.ask(basic("ada", f"guess {number}"), GUESSING)) for number in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await world.ask(basic("ada", "secret"), GUESSING) == "ada"
        gate.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} == {Unauthorized, TooManyRequests}
        assert sum(isinstance(end, TooManyRequests) for end in ends) == 36

    async def test_while_answers_of_an_address_wait_its_next_password_tells_it_nothing(self, world: World) -> None:
        """Right and wrong are sent away alike, and before they are checked."""
        waiting = await world.guessing(4, GUESSING)
        checked = len(world.checks)
        for password in ("wrong", "secret"):
            with pytest.raises(TooManyRequests):
                await world.ask(basic("ada", password), GUESSING)
        assert len(world.checks) == checked
        world.waking.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {Unauthorized}
        assert await world.ask(basic("ada", "secret"), GUESSING) == "ada"

    async def test_a_burst_of_an_address_that_nobody_suspects_yet_is_answered_late_too(self, world: World) -> None:
        waiting = await world.guessing(64, GUESSING)
        for password in ("wrong", "secret"):
            with pytest.raises(TooManyRequests):
                await world.ask(basic("ada", password), GUESSING)
        assert not any(task.done() for task in waiting)
        world.waking.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {Unauthorized}

    async def test_whoever_mistypes_elsewhere_is_told_so_while_others_guess(self, world: World) -> None:
        waiting = [await world.guessing(64, f"198.51.{number}.1") for number in range(3)]
        typing = await world.guessing(1, HONEST)
        assert await world.ask(basic("eve", "word"), HONEST) == "eve"
        world.waking.set()
        ends = await asyncio.gather(*typing, *chain.from_iterable(waiting), return_exceptions=True)
        assert {type(end) for end in ends} == {Unauthorized}

    async def test_a_network_of_ipv6_is_one_and_so_is_an_ipv4_address_in_either_form(self, world: World) -> None:
        for number, (one, same) in enumerate([("2001:db8::1", "2001:db8::2:1"), ("192.0.2.9", "::ffff:192.0.2.9")]):
            waiting = await world.guessing(4, one)
            with pytest.raises(TooManyRequests):
                await world.ask(basic("ada", f"wrong {number}"), same)
            world.waking.set()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_the_same_credentials_at_once_share_one_check_also_of_an_address_that_was_wrong(
        self, world: World
    ) -> None:
        for number in range(3):
            await world.refused(basic("ada", str(number)), GUESSING)
        checked = len(world.checks)
        assert await asyncio.gather(*[world.ask(basic("ada", "secret"), GUESSING) for _ in range(20)]) == ["ada"] * 20
        assert len(world.checks) == checked + 1

    async def test_all_that_wait_have_a_limit(self, world: World) -> None:
        waiting = [await world.guessing(64, f"198.51.{number}.1") for number in range(16)]
        checked = len(world.checks)
        for password in ("typo", "secret"):
            with pytest.raises(TooManyRequests):
                await world.ask(basic("ada", password), HONEST)
        assert len(world.checks) == checked
        world.waking.set()
        await asyncio.gather(*chain.from_iterable(waiting), return_exceptions=True)
        assert await world.ask(basic("ada", "secret"), HONEST) == "ada"
        assert len(world.guard._waiting) == 0

    @pytest.mark.parametrize(
        ("stranger", "neighbour"),
        [
            (lambda number: f"2001:db8:5:{number:x}::1", "2001:db8:5:ffff::1"),
            (lambda number: f"2001:db8:5:ff{number % 256:02x}::1", "2001:db8:5:ff00::1"),
            (lambda number: f"198.51.100.{number}", "198.51.100.255"),
        ],
        ids=["/48", "/56", "/24"],
    )
    async def test_a_stranger_with_a_whole_network_keeps_no_new_login_out(
        self, world: World, stranger: Callable[[int], str], neighbour: str
    ) -> None:
        """150 connections, each from an address of its own, at once: most are sent away, and nobody else is."""
        gate = threading.Event()
        world.gates = {f"{stranger(number)} 0".encode(): gate for number in range(150)}
        world.waking.clear()
        tasks = [
            asyncio.create_task(world.ask(basic("ada", f"{stranger(number)} 0"), stranger(number)))
            for number in range(150)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        honest = asyncio.create_task(world.ask(basic("eve", "word"), HONEST))
        await asyncio.sleep(0)
        assert not honest.done()
        gate.set()
        assert await honest == "eve"
        world.waking.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(end, TooManyRequests) for end in ends) >= 20
        # From now on the whole of it is suspect, and a stranger's next address is no new one.
        gate.clear()
        world.gates[b"next"] = gate
        waiting = asyncio.create_task(world.ask(basic("ada", "next"), neighbour))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.guard._lanes["suspect"].waiting == 1
        gate.set()
        with pytest.raises(Unauthorized):
            await waiting

    async def test_where_a_password_was_right_lately_neighbours_do_not_matter(self, world: World) -> None:
        home = "2001:db8:5:1::1"
        await world.ask(basic("eve", "word"), home)
        world.now += 400  # The password is not remembered any more.
        gate = threading.Event()
        world.gates = {f"guess {number}".encode(): gate for number in range(300)}
        world.waking.clear()
        tasks = [
            asyncio.create_task(world.ask(basic("ada", f"guess {number}"), f"2001:db8:5:{number + 2:x}::1"))
            for number in range(300)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await world.ask(basic("eve", "word"), home) == "eve"
        gate.set()
        world.waking.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.slept.clear()
        await world.refused(basic("eve", "typo"), home)
        assert world.slept == [0.1]

    async def test_colleagues_behind_one_private_network_are_not_one_stranger(self, world: World) -> None:
        for number in range(30):
            await world.refused(basic("ada", "wrong"), f"10.0.0.{number}")
        assert world.slept == [0.1] * 30

    async def test_a_client_that_hangs_up_takes_nothing_from_the_others(self, world: World) -> None:
        gate = world.gates[b"secret"] = threading.Event()
        first = asyncio.create_task(world.ask(basic("ada", "secret")))
        second = asyncio.create_task(world.ask(basic("ada", "secret")))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await second == "ada"
        assert len(world.checks) == 1

    async def test_a_crowd_that_hangs_up_leaves_nothing_behind(self, world: World) -> None:
        gate = threading.Event()
        world.gates = {f"guess {number}".encode(): gate for number in range(100)}
        tasks = [asyncio.create_task(world.ask(basic("ada", f"guess {number}"), GUESSING)) for number in range(100)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        while world.guard._checking:  # noqa: ASYNC110 - checks end by themselves
            await asyncio.sleep(0.01)
        assert [lane.waiting for lane in world.guard._lanes.values()] == [0, 0, 0]
        assert await world.ask(basic("ada", "secret"), GUESSING) == "ada"

    async def test_no_log_line_holds_a_password(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        await world.refused(basic("ada", "hunter2"), GUESSING)
        written = capsys.readouterr().err
        assert "wrong password" in written
        assert GUESSING in written
        assert "hunter2" not in written
        assert basic("ada", "hunter2").split()[1] not in written


def test_nothing_of_what_everybody_may_is_asked_again() -> None:
    World().guard.require(Visitor({}), EVERYTHING, PULL)
