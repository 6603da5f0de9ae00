"""A PostgreSQL with standbys: on the primary's port and an address of their own, as ``database.loadbalancing`` asks."""

import contextlib
import time
from collections.abc import Callable, Iterator

from support import processes
from support.postgres import Postgres

DEADLINE_S = 60.0
_TICK_S = 0.01
_LOOPBACK = "host all all 127.0.0.0/8 scram-sha-256"


def primary_server() -> Postgres:
    """A server that others on loopback may be standbys of. ``with primary_server() as primary:`` starts it."""
    return Postgres(hba=[_LOOPBACK], settings={"log_statement": "all", "wal_keep_size": "256MB"})


def standby_server(primary: Postgres, host: str = "127.0.0.2", *more: str) -> Postgres:
    """A standby of *primary* on another loopback address, or several. ``with`` copies the primary and starts it."""
    standby = Postgres(
        standby_of=primary,
        hba=[_LOOPBACK],
        settings={"listen_addresses": ",".join([host, *more]), "log_statement": "all", "wal_keep_size": "256MB"},
    )
    standby.host = host
    standby.port = primary.port
    return standby


def pause(standby: Postgres) -> None:
    """Receive what the primary writes, but show nothing of it."""
    standby.psql("SELECT pg_wal_replay_pause()")
    _wait(lambda: standby.psql("SELECT pg_get_wal_replay_pause_state()") == "paused")


def resume(standby: Postgres) -> None:
    """Show what was received."""
    standby.psql("SELECT pg_wal_replay_resume()")


def delay(standby: Postgres, milliseconds: int) -> None:
    """Show each transaction so much later than it was committed."""
    standby.psql(f"ALTER SYSTEM SET recovery_min_apply_delay = '{milliseconds}ms'")
    standby.psql("SELECT pg_reload_conf()")


def wait_level(primary: Postgres, standby: Postgres) -> None:
    """Wait until the standby shows all that the primary has now."""
    # With a record of its own: the end of the log may be behind a page's header, which no standby reaches.
    lsn = primary.psql("SELECT pg_logical_emit_message(true, 'level', ''); SELECT pg_current_wal_insert_lsn()")
    lsn = lsn.splitlines()[-1]
    _wait(lambda: standby.psql(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") == "t")


@contextlib.contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    """Keep every process of it stopped within the block: it takes connections, and answers none."""
    assert server.process is not None
    with processes.frozen(server.process.pid):
        yield


def statements(server: Postgres, text: str) -> int:
    """How many statements with *text* in them its log has."""
    return sum(text in line for line in server.log.splitlines())


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(_TICK_S)
