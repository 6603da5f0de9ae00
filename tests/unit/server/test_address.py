"""Addresses to listen on."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError
from moorage.server.address import ListenAddress


@contextlib.contextmanager
def bound(address: ListenAddress, count: int = 1) -> Iterator[list[socket.socket]]:
    listeners = address.bind(count)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (":5000", ("", 5000)),
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:5000", ("::1", 5000)),
        ("localhost:0", ("localhost", 0)),
        (":65535", ("", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, parts: tuple[str, int]) -> None:
    assert ListenAddress(text).host_and_port == parts


@pytest.mark.parametrize(
    "text", ["", "localhost", "5000", ":", "a:", ":65536", ":-1", ":http", "::1]", ":5 0", "a:0x1"]
)
def test_what_is_no_address_stops_the_start_and_says_what_would_be_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http\.addr.*write host:port"):
        ListenAddress(text).bind(1)


def test_every_worker_has_a_socket_of_its_own_on_one_port() -> None:
    with bound(ListenAddress("localhost:0"), 3) as listeners:
        assert len({listener.fileno() for listener in listeners}) == 3
        assert len({listener.getsockname() for listener in listeners}) == 1
        assert listeners[0].getsockname()[1] > 0
        with socket.create_connection(listeners[0].getsockname()[:2], timeout=5):
            pass


@pytest.mark.parametrize("count", [1, 3])
def test_an_address_in_use_stops_the_start(count: int) -> None:
    with bound(ListenAddress("127.0.0.1:0"), 3) as listeners:
        taken = ListenAddress(f"127.0.0.1:{listeners[0].getsockname()[1]}")
        with pytest.raises(ConfigurationError, match=r"cannot listen on .*another registry"):
            taken.bind(count)
    with bound(taken, count):
        pass


@pytest.mark.parametrize("text", ["192.0.2.1:0", "no.such.host.invalid:0"])
def test_an_address_that_is_not_ours_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        ListenAddress(text).bind(1)


def test_no_host_is_every_interface() -> None:
    with bound(ListenAddress(":0")) as (listener,), socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        pass


def test_a_path_is_one_socket_for_all_workers(tmp_path: Path) -> None:
    with bound(ListenAddress(str(tmp_path / "s"), is_unix=True), 3) as listeners:
        assert len(listeners) == 1


def test_the_socket_of_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound(ListenAddress(str(path), is_unix=True)):
        pass
    assert path.is_socket()
    with bound(ListenAddress(str(path), is_unix=True)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_debug_address_is_named_where_it_is_the_one_that_is_taken() -> None:
    with bound(ListenAddress("127.0.0.1:0")) as (listener,):
        taken = ListenAddress(f"127.0.0.1:{listener.getsockname()[1]}", key="http.debug.addr")
        with pytest.raises(ConfigurationError, match=r"http\.debug\.addr.*another registry") as caught:
            taken.bind(1)
    assert [mistake.path for mistake in caught.value.mistakes] == ["http.debug.addr"]


def test_a_folder_that_is_not_there_is_not_said_to_be_another_registry(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file") as caught:
        ListenAddress(str(tmp_path / "absent" / "s"), is_unix=True).bind(1)
    assert "another registry" not in str(caught.value)
