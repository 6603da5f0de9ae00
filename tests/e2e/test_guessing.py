"""A stranger with a whole network guesses passwords by 150 connections at once; nobody else is kept out."""

import base64
import socket
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import yaml

from e2e.settings import config_for
from e2e.wire import Wire, connect, head, status_of
from support.daemon import Daemon

HONEST = {f"user{number}": f"password of {number}" for number in range(5)}
CONNECTIONS = 150


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def guess(daemon: Daemon, number: int, stack: ExitStack) -> socket.socket:
    """One wrong password, from an address of its own in the /48, as a proxy on the machine passes it on."""
    sock = stack.enter_context(connect(daemon.address, 30))
    address = f"2001:db8:bad:{number:x}::1"
    sock.sendall(
        head("GET", "/v2/", authorization=basic(f"user{number % 5}", f"guess {number}"), x_forwarded_for=address)
    )
    return sock


def test_a_stranger_with_a_whole_network_keeps_no_new_login_out(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(
        "".join(f"{name}:{bcrypt.hashpw(said.encode(), bcrypt.gensalt(6)).decode()}\n" for name, said in HONEST.items())
    )
    tree = yaml.safe_load(config_for(tmp_path))
    config = yaml.safe_dump({**tree, "auth": {"htpasswd": {"realm": "here", "path": str(users)}}})
    with Daemon(tmp_path, config=config, workers=1) as daemon, ExitStack() as stack:
        guesses = [guess(daemon, number, stack) for number in range(CONNECTIONS)]
        answers = []
        for number, (name, password) in enumerate(HONEST.items()):
            headers = {"Authorization": basic(name, password), "X-Forwarded-For": f"198.51.{number}.7"}
            answers.append(Wire(daemon.address).request("GET", "/v2/", headers=headers).status)
            guesses += [guess(daemon, CONNECTIONS + number * 30 + more, stack) for more in range(30)]
        assert answers == [200] * len(HONEST)
        found = [status_of(sock) for sock in guesses]
        assert set(found) <= {401, 429}
        assert found.count(429) > CONNECTIONS / 2, "most of a crowd is sent away at once"
