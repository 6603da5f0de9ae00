"""Certificates and passwords that change while the registry runs, and a start that would let nobody, or anybody, in."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.settings import config_for
from e2e.wire import eventually
from support.daemon import Daemon
from support.images import push_image
from support.ports import free_port
from support.registry_client import RegistryClient
from support.tokens import Issuer, certificate, pem, rsa_key
from unit.auth.test_basic import basic
from unit.auth.test_passwords import hashed

STORAGE = "version: 0.1\nstorage: {inmemory: {}}\n"


def replace(path: Path, content: bytes) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.rename(path)


def status(daemon: Daemon, headers: dict[str, str]) -> int:
    with RegistryClient(daemon.address, headers=headers) as client:
        return client.base().status


def test_a_certificate_is_rotated_and_revoked_without_a_restart(tmp_path: Path) -> None:
    old = Issuer(tmp_path)
    with Daemon(tmp_path, config=f"{STORAGE}{old.section}\n") as daemon:
        (tmp_path / "other").mkdir()
        new = Issuer(tmp_path / "other", key=rsa_key("new"))
        by_old, by_new = old.bearer(), new.bearer()
        assert (status(daemon, by_old), status(daemon, by_new)) == (200, 401)
        replace(old.bundle, pem(old.certificate, certificate(rsa_key("new"))))
        eventually("by_new: 200", lambda: status(daemon, by_new) == 200)
        assert status(daemon, by_old) == 200
        replace(old.bundle, pem(certificate(rsa_key("new"))))
        eventually("by_old: 401", lambda: status(daemon, by_old) == 401)
        assert status(daemon, by_new) == 200
        replace(old.bundle, b"half a fi")
        said = "a changed file cannot be used; what it said before still counts"
        eventually(said, lambda: status(daemon, {}) == 401 and said in daemon.log)
        assert status(daemon, by_new) == 200
        for headers in (by_old, by_new):
            assert headers["Authorization"].split(".")[2] not in daemon.log


def test_a_password_is_changed_without_a_restart(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"ada:{hashed('old')}\n")
    auth = f"auth: {{htpasswd: {{realm: r, path: '{users}'}}}}"
    with Daemon(tmp_path, config=f"{STORAGE}{auth}\n") as daemon:
        old, new = ({"Authorization": basic("ada", password)} for password in ("old", "new"))
        assert status(daemon, old) == 200
        replace(users, f"ada:{hashed('new')}\n".encode())
        eventually("old: 401", lambda: status(daemon, old) == 401)
        assert status(daemon, new) == 200
        assert b"old" not in users.read_bytes()


@pytest.mark.parametrize("kind", ["passwords", "keys"])
def test_a_worker_that_dies_while_a_file_cannot_be_used_does_not_end_the_others_and_is_replaced_when_it_can(
    kind: str, tmp_path: Path
) -> None:
    users, issuer = tmp_path / "users", Issuer(tmp_path)
    users.write_text(f"ada:{hashed('secret')}\n")
    auth = f"auth: {{htpasswd: {{realm: r, path: '{users}'}}}}" if kind == "passwords" else issuer.section
    file, headers = users, {"Authorization": basic("ada", "secret")}
    if kind == "keys":
        file, headers = issuer.bundle, issuer.bearer()
    with Daemon(tmp_path, config=f"{config_for(tmp_path)}{auth}\n", workers=2) as daemon:
        good = file.read_bytes()
        replace(file, b"half a fi")
        killed, other = daemon.worker_pids
        daemon.kill_worker(killed)
        eventually("the new one cannot begin", lambda: "the worker cannot start" in daemon.log)
        eventually("it is tried again", lambda: daemon.log.count("the worker cannot start") > 1)
        assert other in daemon.worker_pids
        replace(file, good)
        eventually("there are two again", lambda: len(daemon.worker_pids) == 2)
        daemon.kill_worker(other)  # So that whoever answers is a new one.
        assert status(daemon, headers) == 200
        assert status(daemon, {}) == 401


def test_a_registry_whose_certificates_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    config = tmp_path / "config.yml"
    config.write_text(f"{STORAGE}{issuer.section}\n")
    issuer.bundle.write_bytes(b"no certificate")
    command = [sys.executable, "-m", "moorage", "serve", str(config), "--addr", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "auth.token.rootcertbundle: the file cannot be used: it has no certificate" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_an_open_registry_says_so_loudly_where_others_can_reach_it(tmp_path: Path) -> None:
    config = f"{STORAGE}http: {{secret: shared}}\n"
    with Daemon(tmp_path, config=config) as daemon:
        assert "NO AUTHENTICATION" not in daemon.log
    everywhere = Daemon(tmp_path / "open", config=config)
    everywhere.args = ["--addr", f"0.0.0.0:{everywhere.port}"]
    with everywhere:
        with RegistryClient(everywhere.address) as anybody:
            pushed = push_image(anybody, "t/open", "1")
            assert anybody.get_manifest("t/open", "1").body == pushed.manifest.body
        assert everywhere.log.count("NO AUTHENTICATION is configured and the address is not loopback") == 1
