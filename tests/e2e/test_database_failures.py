"""PostgreSQL is killed, cut off and replaced under a storm of pushes: what was acknowledged is there afterwards.

During the outage clients get 503 with Retry-After; afterwards it goes on by itself.
"""

import contextlib
import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import yaml

from e2e.checks import assert_everything_listed_is_whole
from e2e.images import Blob, Image, build_image
from e2e.settings import config_for
from e2e.storm import Account, Pusher, assert_kept, describe
from e2e.wire import Answer, Wire
from support.daemon import Daemon
from support.postgres import Postgres, migrated
from support.processes import signal_each

Result = TypeVar("Result")
PUSHERS = 6
END_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Outage(Exception):
    """The registry said that it cannot now."""


@dataclass
class OutageWire(Wire):
    """Raises what is said during an outage, if it is said as it should be."""

    outages: list[str] = field(default_factory=list)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = super().request(method, target, body, headers)
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.codes == ["UNAVAILABLE"]
            self.outages.append(f"{method} {target}")
            raise Outage
        return answer


class StubbornPusher(Pusher):
    """Does again what could not be done, as real clients do, until it is told to stop."""

    def __init__(self, address: str, account: Account, seed: str, stop: threading.Event) -> None:
        super().__init__(address, account, seed)
        self.patient = OutageWire(address, timeout_s=20, keep=True)
        self.wire = self.patient
        self._stop_asked = stop

    @property
    def pushed(self) -> int:
        return len(self.account.tags)

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                self._push_one()
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.account.refusals.append(f"{type(error).__name__}: {error}")
        finally:
            self.wire.close()

    def _push_blob(self) -> Blob:
        return self._insist(super()._push_blob)

    def _put(self, image: Image, reference: str) -> None:
        put = super()._put
        self._insist(lambda: put(image, reference))

    def _untag(self, tag: str) -> None:
        try:
            super()._untag(tag)
        except Outage:
            found = self._insist(lambda: self.wire.manifest(self.account.repository, tag))
            if found.status == 404:
                del self.account.tags[tag]
                self.account.untagged.add(tag)
            self.account.in_flight = None

    def _insist(self, act: Callable[[], Result]) -> Result:
        while True:
            try:
                return act()
            except Outage:
                time.sleep(0.05)


@dataclass
class Storm:
    """A registry under load, and those who load it."""

    daemon: Daemon
    pushers: list[StubbornPusher]

    @property
    def outages(self) -> int:
        return sum(len(pusher.patient.outages) for pusher in self.pushers)

    def goes_on(self, within_s: float = 30) -> None:
        """Return when every pusher has had more acknowledged."""
        before = [pusher.pushed for pusher in self.pushers]
        deadline = time.monotonic() + within_s
        for pusher, pushed in zip(self.pushers, before, strict=True):
            while pusher.pushed < pushed + 2:
                assert pusher.is_alive(), pusher.account.refusals
                assert time.monotonic() < deadline, f"it does not recover: {self.daemon.log[-2000:]}"
                time.sleep(0.02)


@contextlib.contextmanager
def storm(daemon: Daemon) -> Iterator[Storm]:
    """Pushers at work; at the end of the block all that they were told must be true."""
    stop = threading.Event()
    accounts = [Account(f"storm/{n}") for n in range(PUSHERS)]
    pushers = [StubbornPusher(daemon.address, account, account.repository, stop) for account in accounts]
    for pusher in pushers:
        pusher.start()
    try:
        yield Storm(daemon, pushers)
    finally:
        stop.set()
        for pusher in pushers:
            pusher.join(60)
    assert not any(pusher.is_alive() for pusher in pushers)
    assert [refusal for account in accounts for refusal in account.refusals] == []
    print(describe(accounts))  # noqa: T201 - how much was tried is shown with a failure
    with Wire(daemon.address, keep=True) as wire:
        for account in accounts:
            assert_kept(wire, account)
            assert set(wire.tags(account.repository)) == set(account.tags)
        assert_everything_listed_is_whole(wire)
        assert {account.repository for account in accounts} <= set(wire.catalogue())


def daemon_on(folder: Path, postgres: Postgres, **database: object) -> Daemon:
    section = yaml.safe_load(postgres.config_section(migrated(postgres), **database))
    config = yaml.safe_load(config_for(folder)) | section
    return Daemon(folder, config=yaml.safe_dump(config), workers=2)


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, as careful as in production."""
    with Postgres(fsync=True) as server:
        yield server


@pytest.mark.parametrize("prepared", [True, False])
def test_postgresql_killed_under_load_loses_nothing_acknowledged(
    tmp_path: Path, server: Postgres, *, prepared: bool
) -> None:
    with daemon_on(tmp_path, server, preparedstatements=prepared) as daemon:
        workers = daemon.worker_pids
        with storm(daemon) as load:
            for _ in range(2):
                load.goes_on()
                server.kill()
                time.sleep(0.5)
                server.start()
                load.goes_on()
            assert load.outages >= PUSHERS
        assert daemon.worker_pids == workers, "nobody had to start anew"


def test_connections_ended_all_the_time_lose_nothing_acknowledged(tmp_path: Path, server: Postgres) -> None:
    with daemon_on(tmp_path, server, preparedstatements=True) as daemon, storm(daemon) as load:
        load.goes_on()
        ended = 0
        for _ in range(30):
            ended += len(server.psql(END_ALL, dbname_of(daemon)).split())
            time.sleep(0.05)
        assert ended >= 30
        load.goes_on()


def test_a_promoted_standby_takes_over_under_load(tmp_path: Path, server: Postgres) -> None:
    with Postgres(standby_of=server) as standby:
        # What is acknowledged is on both: else a promotion may lose it, whatever the registry does.
        server.psql("ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()")
        hosts = f"127.0.0.1:{server.port},127.0.0.1:{standby.port}"
        with daemon_on(tmp_path, server, host=hosts) as daemon, storm(daemon) as load:
            load.goes_on()
            server.kill()
            time.sleep(0.5)
            standby.promote()
            load.goes_on()
            assert load.outages >= 1


def test_a_worker_that_starts_during_the_outage_serves_after_it(tmp_path: Path, server: Postgres) -> None:
    image = build_image("outage")
    with daemon_on(tmp_path, server) as daemon:
        Wire(daemon.address).push_image("t/before", "v1", image)
        server.kill()
        signal_each(daemon.worker_pids, signal.SIGKILL)
        deadline = time.monotonic() + 20
        statuses: list[int] = []
        while len(statuses) < 10:
            assert time.monotonic() < deadline, daemon.log[-2000:]
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.append(Wire(daemon.address).manifest("t/before", "v1").status)
            time.sleep(0.05)
        assert set(statuses) == {503}
        server.start()
        for _ in range(10):
            assert Wire(daemon.address).manifest("t/before", "v1").status == 200
        Wire(daemon.address).push_image("t/after", "v1", image)


def dbname_of(daemon: Daemon) -> str:
    assert daemon.config is not None
    return str(yaml.safe_load(daemon.config)["database"]["dbname"])
