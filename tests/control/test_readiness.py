"""A database that is silent: who asks whether the node is ready hears that it is not, and people are still answered."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.test import RequestFactory
from psycopg.conninfo import make_conninfo

from moorage.control import readiness, settings

DEADLINE_S = 60.0


class SilentCursor:
    """A cursor that takes any statement."""

    def execute(self, statement: str) -> None:
        del statement


class SilentConnection:
    """A connection whose first question is answered when it is let go."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def cursor(self) -> Iterator[SilentCursor]:
        self.asked.set()
        assert self.go_on.wait(DEADLINE_S)
        yield SilentCursor()


def test_a_database_that_hangs_takes_one_thread_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, request = SilentConnection(), RequestFactory().get("/-/readiness")
    monkeypatch.setattr(readiness, "connection", silent)
    monkeypatch.setattr(readiness, "_DEADLINE_S", 0.05)
    first: list[int] = []
    asking = threading.Thread(target=lambda: first.append(readiness.is_ready(request).status_code), daemon=True)
    asking.start()
    assert silent.asked.wait(DEADLINE_S)
    assert [readiness.is_ready(request).status_code for _ in range(3)] == [503, 503, 503]
    silent.go_on.set()
    asking.join(DEADLINE_S)
    assert first == [200]
    assert readiness.is_ready(request).status_code == 200


def test_a_server_of_postgresql_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sooner: dict[str, Any] = {**settings._PATIENCE, "connect_timeout": 2}  # Than in earnest, by the same word.
        port = server.getsockname()[1]
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(make_conninfo(host="127.0.0.1", port=port, dbname="x", user="x", **sooner))
