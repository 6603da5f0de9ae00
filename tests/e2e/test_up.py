"""``moorage up``: from an empty folder to registry and accounts, and back to them at the next start."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gitlab
import pytest
import yaml

from e2e.images import build_image, write_layout
from e2e.settings import config_for
from moorage.auth.claims import AccessClaim, Claims
from moorage.auth.tokens import mint
from moorage.control.serving.first_folder import ISSUER, SERVICE
from moorage.token_server.key_ring import KeyFolder, KeyRing
from support.clients import Oras, Skopeo
from support.commands import moorage
from support.daemon import Daemon
from support.images import push_image
from support.registry_client import RegistryClient
from support.standalone import Standalone

EVENT_DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with Standalone(tmp_path_factory.mktemp("up")) as running:
        yield running


def test_both_answer_and_the_lines_to_type_next_are_printed(up: Standalone) -> None:
    assert up.status(f"{up.url}/-/readiness") == 200
    assert up.status(f"http://{up.registry}/v2/") == 401
    printed = up.printed()
    assert printed[1:3] == [f"Accounts and projects are at {up.url}", f"Everything is in {up.data}"]
    assert [line.split()[:2] for line in printed if line.startswith("  ")] == [
        ["docker", "login"],
        ["docker", "tag"],
        ["docker", "push"],
    ]


def test_clients_are_sent_to_the_control_plane_for_a_token_and_it_is_no_address_that_they_refuse(
    up: Standalone,
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{up.registry}/v2/")
    with caught.value:
        challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge == f'Bearer realm="{up.url}/jwt/auth",service="container_registry"'
    assert "new clients ask for no token" not in up.log


def test_a_newcomer_logs_in_and_pushes_to_the_address_that_is_printed(up: Standalone, oras: Oras) -> None:
    plain = "--plain-http"
    login = next(line.split() for line in up.printed() if line.startswith("  docker login"))
    address = login[login.index("--password-stdin") + 1]
    said = oras("login", plain, address, "-u", "root", "--password-stdin", given=up.password.encode())
    assert "Login Succeeded" in said
    oras("push", plain, f"{address}/root/data:1", "report.json")
    assert oras("repo", "tags", plain, f"{address}/root/data").split() == ["1"]
    # It asks by HEAD first, whose answer has no body.
    status, said = oras.attempt("push", plain, f"{address}/nobody/x:1", "report.json")
    assert status != 0
    assert "push on nobody/x: there is no project at this path" in said


def test_secrets_are_for_their_owner_only(up: Standalone) -> None:
    for name in ("initial_password", "secret", "config.yml", "control.yml", "control.db", "keys/keys.json"):
        assert stat.S_IMODE((up.data / name).stat().st_mode) == 0o600, name


def test_an_image_is_copied_to_a_path_whose_project_the_push_makes(
    up: Standalone, skopeo: Skopeo, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", {"1": build_image("copied")})
    skopeo.copy(f"oci:{layout}:1", f"docker://{up.registry}/root/copied:1", "--dest-creds", f"root:{up.password}")
    command = ["copy", f"{up.registry}/root/copied:1", f"{up.registry}/root/new:2"]
    environ = {**os.environ, "MOORAGE_USERNAME": "root", "MOORAGE_PASSWORD": up.password}
    environ["MOORAGE_REGISTRY"] = f"http://{up.registry}"
    dry = moorage(*command, "--dry-run", env=environ)
    assert dry.returncode == 0, dry.stderr
    assert "does not let you pull from root/new: as far as a dry run can tell it is not there" in dry.stderr
    assert up.command("project", "list", "--json").stdout.count('"root/new"') == 0
    environ["MOORAGE_PASSWORD"] = "another"
    dry = moorage(*command, "--dry-run", env=environ)
    assert dry.returncode == 1, dry.stderr
    environ["MOORAGE_PASSWORD"] = up.password
    ended = moorage(*command, env=environ)
    assert ended.returncode == 0, ended.stderr
    skopeo("inspect", "--tls-verify=false", "--creds", f"root:{up.password}", f"docker://{up.registry}/root/new:2")


def test_a_token_is_made_by_command_and_shown_once(up: Standalone) -> None:
    made = up.command("token", "create", "root", "--name", "ci", "--scope", "api", "--json")
    secret = json.loads(made.stdout)["token"]
    listed = up.command("token", "list", "root", "--json")
    assert secret.startswith("glpat-")
    assert [row["name"] for row in json.loads(listed.stdout)] == ["ci"]
    assert secret not in listed.stdout
    assert secret not in up.log


def test_a_second_start_finds_everything_and_killed_outright_it_leaves_no_process(tmp_path: Path) -> None:
    with Standalone(tmp_path) as first:
        made = {file.name: file.read_bytes() for file in (first.data / "config.yml", first.data / "control.yml")}
        assert first.password
        assert first.stop(signal.SIGINT) == 0
        assert first.log.count("stopping") == 2
    changed = first.command("reset-password")
    assert changed.returncode == 0
    assert not (first.data / "initial_password").exists()
    with Standalone(tmp_path) as second:
        assert {name: (second.data / name).read_bytes() for name in made} == made
        assert "The user is root" not in second.log
        assert second.registry != first.registry  # What was written counts, and not the other port.
        assert f"http://{first.registry}" in second.printed()[0]
        assert second.stop(signal.SIGKILL) == -signal.SIGKILL  # And it waits until no process of it is left.


def test_images_of_a_registry_without_accounts_stay_and_ask_for_a_login(tmp_path: Path) -> None:
    with Daemon(tmp_path) as before:
        with contextlib.closing(RegistryClient(before.address)) as client:
            push_image(client, "group/app", "1")
        blobs = sorted(path.name for path in before.data.rglob("data"))
    with Standalone(tmp_path) as up:
        assert "has images of a registry without accounts. They stay where they are" in " ".join(up.log.split())
        assert up.status(f"http://{up.registry}/v2/group/app/manifests/1") == 401
        assert sorted(path.name for path in up.data.rglob("data")) == blobs


def test_the_folder_of_another_registry_is_adopted_where_it_is(tmp_path: Path, skopeo: Skopeo) -> None:
    with Daemon(tmp_path / "other", config=config_for(tmp_path / "other")) as before:
        with contextlib.closing(RegistryClient(before.address)) as client:
            push_image(client, "root/app", "1")
        theirs = before.data
    with Standalone(tmp_path / "ours", adopt=theirs) as up:
        assert f"{theirs} has images of a registry without accounts" in " ".join(up.log.split())
        source = f"docker://{up.registry}/root/app:1"
        # Without a project nobody reaches an image; a first push would make it, too.
        up.command("project", "take-in")
        skopeo("inspect", "--tls-verify=false", "--creds", f"root:{up.password}", source)
        new = write_layout(tmp_path / "layout", {"2": build_image("new")})
        skopeo.copy(f"oci:{new}:2", f"docker://{up.registry}/root/app:2", "--dest-creds", f"root:{up.password}")
        assert not list(up.data.rglob("blobs"))
        assert (up.data / "moorage.db").exists()
    with Standalone(tmp_path / "ours", adopt=theirs) as again:
        skopeo("inspect", "--tls-verify=false", "--creds", f"root:{again.password}", source)


def test_a_port_that_is_taken_ends_both_and_is_said(up: Standalone, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "moorage",
        "up",
        str(tmp_path),
        "--addr",
        up.registry,
        "--control-addr",
        up.control,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"error: http.addr: cannot listen on {up.registry}: Address already in use" in ended.stderr


def test_signals_for_daemons_end_neither_while_they_start_nor_later(tmp_path: Path) -> None:
    up = Standalone(tmp_path)
    signals = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

    def send_while_it_starts() -> None:
        while not (up.data / "control.yml").exists():
            time.sleep(0.01)
        assert up.process is not None
        for number in signals:
            up.process.send_signal(number)

    sender = threading.Thread(target=send_while_it_starts)
    sender.start()
    with up:
        sender.join(60)
        assert up.process is not None
        for number in signals:
            up.process.send_signal(number)
        deadline = time.monotonic() + EVENT_DEADLINE_S
        # Both servers are told of both kinds at least once.
        while up.log.count("logs go to stdout or stderr") < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert up.status(f"{up.url}/-/readiness") == 200
        assert up.status(f"http://{up.registry}/v2/") == 401
        assert up.stop() == 0


@pytest.fixture(scope="module")
def api(up: Standalone) -> gitlab.Gitlab:
    """GitLab's own client in Python, by a token of the first administrator."""
    made = up.command("token", "create", "root", "--name", "scripts", "--scope", "api", "--json")
    return gitlab.Gitlab(up.url, private_token=json.loads(made.stdout)["token"], keep_base_url=True)


def token_of_the_site(up: Standalone, path: str) -> str:
    """A token that the site's key has signed, and of which the control plane knows nothing."""
    now = int(time.time())
    access = [AccessClaim(type="repository", name=path, actions=["pull", "push"])]
    claims = Claims(iss=ISSUER, aud=SERVICE, jti="e2e", access=access, exp=now + 300, nbf=now - 5, iat=now)
    return mint(claims, KeyRing.parse(KeyFolder(up.data / "keys").private.read_bytes()).signing(now))


def test_the_registry_tells_the_control_plane_of_a_push_that_it_did_not_know(
    up: Standalone, api: gitlab.Gitlab
) -> None:
    """A token's record is made as it is given: this one was not given by the control plane."""
    project = api.projects.create({"name": "told"})
    authorization = ("Authorization", f"Bearer {token_of_the_site(up, 'root/told/by-event')}")
    with contextlib.closing(RegistryClient(up.registry, headers=[authorization])) as client:
        push_image(client, "root/told/by-event", "1")
    deadline = time.monotonic() + EVENT_DEADLINE_S
    while not (found := project.repositories.list(get_all=True)):
        assert time.monotonic() < deadline, up.log[-4000:]
        time.sleep(0.1)
    assert [one.path for one in found] == ["root/told/by-event"]
    shown = api.registry_repositories.get(found[0].id, tags=True, size=True)
    assert [tag["name"] for tag in shown.tags] == ["1"]
    assert shown.size > 0
    secret = str(yaml.safe_load((up.data / "control.yml").read_text())["registry"]["notification_secret"])
    assert len(secret) == 64
    assert secret not in up.log


def test_python_gitlab_and_skopeo_work_with_it_as_they_are(
    up: Standalone, api: gitlab.Gitlab, skopeo: Skopeo, tmp_path: Path
) -> None:
    """Make a group, a project, a member and a token; push, list, delete a tag, and move all of it to another path."""
    group = api.groups.create({"name": "Team", "path": "team"})
    project = api.projects.create({"name": "app", "namespace_id": group.id})
    ada = api.users.create(
        {"username": "ada", "name": "Ada", "email": "ada@example.com", "force_random_password": True}
    )
    project.members.create({"user_id": ada.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    token = ada.personal_access_tokens.create({"name": "ci", "scopes": ["read_registry", "write_registry"]}).token
    source = write_layout(tmp_path / "layout", {"v1": build_image("up")})

    def copied(path: str) -> None:
        target = f"docker://{up.registry}/{path}"
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds", f"ada:{token}", f"oci:{source}:v1", target)

    for tag in ("1", "2"):
        copied(f"team/app/web:{tag}")
    (repository,) = project.repositories.list(get_all=True)
    assert [tag.name for tag in repository.tags.list(get_all=True)] == ["1", "2"]
    assert repository.tags.get("2").total_size > 0
    repository.tags.delete("2")
    assert [tag.name for tag in repository.tags.list(get_all=True)] == ["1"]

    api.projects.update(project.id, {"path": "better"})
    api.groups.update(group.id, {"path": "crew"})
    (moved,) = project.repositories.list(get_all=True)
    assert [tag.location for tag in moved.tags.list(get_all=True)] == [f"{up.registry}/crew/better/web:1"]
    inspected = skopeo(
        "inspect", "--tls-verify=false", "--creds", f"ada:{token}", f"docker://{up.registry}/crew/better/web:1"
    )
    assert json.loads(inspected)["RepoTags"] == ["1"]
    status, said = skopeo.attempt(
        "inspect", "--tls-verify=false", "--creds", f"ada:{token}", f"docker://{up.registry}/team/app/web:1"
    )
    assert status != 0, said
    copied("crew/better/web:3")
