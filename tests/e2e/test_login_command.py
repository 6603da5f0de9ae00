"""``moorage login`` and ``logout`` beside docker and skopeo: each uses what the others wrote."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.images import build_image, write_layout
from e2e.test_login import configuration
from support.clients import Skopeo
from support.components import need
from support.daemon import Daemon
from support.token_endpoint import SECRET, USER, TokenEndpoint
from support.tokens import ISSUER, SERVICE, Issuer
from unit.auth.test_passwords import hashed

PLAIN = "--tls-verify=false"


@dataclass
class Prompt:
    """A user with a home of their own, and a registry that asks for credentials."""

    address: str
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        outside = ("MOORAGE_", "DOCKER_", "REGISTRY_", "XDG_")
        usual = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
        return {**usual, "HOME": str(self.home), "NO_PROXY": "127.0.0.1", "PYTHONIOENCODING": "utf-8"}

    @property
    def file(self) -> Path:
        return self.home / ".docker" / "config.json"

    def run(self, *words: str, given: str = "", status: int = 0, **environ: str) -> str:
        command = [sys.executable, "-m", "moorage", *words]
        env = {**self.environ, **environ}
        done = subprocess.run(command, input=given.encode(), capture_output=True, check=False, timeout=60, env=env)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == status, said
        assert "Traceback" not in said
        assert SECRET not in said
        return said

    def login(self, secret: str = SECRET, *, status: int = 0) -> str:
        words = ("login", self.address, "-u", USER, "--password-stdin")
        return self.run(*words, given=f"{secret}\n", status=status)


@pytest.fixture(params=["token", "password"])
def prompt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Prompt]:
    (tmp_path / "home").mkdir()
    if request.param == "password":
        (tmp_path / "users").write_text(f"{USER}:{hashed(SECRET)}\n")
        auth = f"htpasswd: {{realm: Registry, path: '{tmp_path / 'users'}'}}"
        with Daemon(tmp_path, config=configuration(tmp_path, auth)) as daemon:
            yield Prompt(daemon.address, tmp_path / "home")
        return
    issuer = Issuer(tmp_path)
    with TokenEndpoint(issuer) as endpoint:
        names = f"realm: '{endpoint.url}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{issuer.bundle}'"
        with Daemon(tmp_path, config=configuration(tmp_path, f"token: {{{names}}}")) as daemon:
            yield Prompt(daemon.address, tmp_path / "home")


def test_what_login_keeps_serves_skopeo_until_logout(prompt: Prompt, skopeo: Skopeo, tmp_path: Path) -> None:
    said = prompt.login()
    assert said == f"logged in to {prompt.address} as {USER}; the credentials are kept in {prompt.file}\n"
    layout = write_layout(tmp_path / "layout", {"1": build_image("login", layers=1)})
    target = f"docker://{prompt.address}/group/app:1"
    keys = ("--dest-authfile", str(prompt.file))
    skopeo("copy", "--dest-tls-verify=false", *keys, f"oci:{layout}:1", target)
    assert prompt.run("tag", "list", f"{prompt.address}/group/app") == "1\n"
    assert prompt.run("logout", prompt.address) == f"logged out from {prompt.address}\n"
    assert prompt.address not in prompt.file.read_text()
    assert skopeo.attempt("copy", "--dest-tls-verify=false", *keys, f"oci:{layout}:1", target)[0] != 0
    assert prompt.run("logout", prompt.address) == f"not logged in to {prompt.address}\n"


def test_a_wrong_password_is_said_and_nothing_is_kept(prompt: Prompt) -> None:
    assert f"does not accept {USER} with this password" in prompt.login("wrong", status=1)
    assert not prompt.file.exists()


def test_what_skopeo_login_keeps_is_used(prompt: Prompt, skopeo: Skopeo) -> None:
    assert "not logged in" in prompt.run("tag", "delete", f"{prompt.address}/group/app", "1", status=1)
    file = prompt.home / ".config" / "containers" / "auth.json"
    file.parent.mkdir(parents=True)
    words = ("login", PLAIN, "--authfile", str(file), "-u", USER, "-p", SECRET, prompt.address)
    skopeo(*words)
    assert "group/app has no tag 1" in prompt.run("tag", "delete", f"{prompt.address}/group/app", "1", status=1)


def test_what_docker_keeps_is_used_and_the_other_way_round(prompt: Prompt) -> None:
    need("docker")
    prompt.login()
    kept = json.loads(prompt.file.read_text())["auths"][prompt.address]
    # What docker writes: the same member, with the same content.
    assert list(kept) == ["auth"]
    words = ["docker", "logout", prompt.address]
    said = subprocess.run(words, env=prompt.environ, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Removing login credentials" in said
    assert prompt.run("logout", prompt.address) == f"not logged in to {prompt.address}\n"


def test_the_environments_password_is_not_for_a_host_that_is_only_typed(prompt: Prompt) -> None:
    environ = {"MOORAGE_USERNAME": USER, "MOORAGE_PASSWORD": SECRET}
    place = f"{prompt.address}/group/app"
    said = prompt.run("tag", "delete", place, "1", status=1, **environ)
    assert "goes only to the registry that MOORAGE_REGISTRY or --registry names" in said
    for named in ({"MOORAGE_REGISTRY": f"http://{prompt.address}"}, {}):
        options = () if named else ("--registry", f"http://{prompt.address}")
        said = prompt.run("tag", "delete", *options, place, "1", status=1, **environ, **named)
        assert "has no tag 1" in said


def test_the_password_is_asked_for_unseen(prompt: Prompt) -> None:
    shown = typed([sys.executable, "-m", "moorage", "login", prompt.address], (USER, SECRET), prompt.environ)
    assert f"logged in to {prompt.address} as {USER}" in shown
    assert SECRET not in shown
    assert json.loads(prompt.file.read_text())["auths"][prompt.address]


def typed(command: list[str], answers: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """What a terminal shows while somebody answers each question (they end in a colon and a space)."""
    child, master = pty.fork()
    if child == 0:
        os.execvpe(command[0], command, dict(environ))  # noqa: S606 - a terminal needs no shell
    shown, waiting = b"", list(answers)
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:  # Closed by the last writer.
            break
        if not more:
            break
        shown += more
        if shown.endswith(b": ") and waiting:
            os.write(master, f"{waiting.pop(0)}\n".encode())
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    return shown.decode()
