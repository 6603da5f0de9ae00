"""The container images: built without a daemon, run with a root that is read-only, pushed to and pulled from."""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.test_lifecycle import begin_put, refuses_connections
from e2e.wire import Wire, eventually, sha256, status_of
from support.clients import Podman
from support.components import need
from support.ports import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose" / "three-nodes.yml"
BUILD_S = 1500
ANSWERS_S = 60.0
# No cgroups, no network of its own, no systemd: what a machine for tests may lack.
PLAIN = ("--network", "host", "--log-driver", "k8s-file", "--health-cmd", "none")
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
LOCKED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges")


class Containers(Podman):
    """Podman with containers, on any runtime that this machine lets run."""

    command: tuple[str, ...] = (*Podman.command, "--runtime", "runc")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("buildah", "podman", "runc", "mmdebstrap", root=True)
    if found := os.environ.get("MOORAGE_TEST_IMAGES"):
        return Path(found)  # Built by `make image` before: who works on these tests waits for no build.
    folder = tmp_path_factory.mktemp("archives")
    command = [str(ROOT / "scripts" / "make-image"), str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_S)
    assert built.returncode == 0, built.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def podman(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    podman = Containers(tmp_path_factory.mktemp("podman"))
    for archive in archives.glob("*.tar"):
        podman("load", "--quiet", "--input", archive)
    yield podman
    podman.attempt("rm", "--all", "--force", "--volumes")
    podman.attempt("system", "reset", "--force")


def image(podman: Containers, target: str) -> str:
    listed = json.loads(podman("images", "--format", "json"))
    names = {name for entry in listed for name in entry["Names"] if name.startswith("localhost/moorage:")}
    [found] = [str(name) for name in names if name.endswith("-registry") == (target == "registry")]
    return found


def answered(address: str, podman: Containers, name: str) -> Wire:
    wire, deadline = Wire(address), time.monotonic() + ANSWERS_S
    while time.monotonic() < deadline:
        try:
            wire.request("GET", "/v2/")
        except OSError:
            assert "true" in podman("inspect", "--format", "{{.State.Running}}", name), podman("logs", name)
            time.sleep(0.1)
        else:
            return wire
    raise AssertionError(podman("logs", name))


def test_the_registry_alone_is_pushed_to_and_pulled_from_and_ends_in_order(podman: Containers) -> None:
    port, name = free_port(), "alone"
    started = image(podman, "registry")
    environ = ("--env", f"REGISTRY_HTTP_ADDR=127.0.0.1:{port}", "--env", "REGISTRY_STORAGE_DELETE_ENABLED=true")
    placed = (*PLAIN, *LIMITS, *LOCKED, "-v", "images:/var/lib/registry")
    podman("run", "--detach", "--name", name, *placed, *environ, started)
    wire = answered(f"127.0.0.1:{port}", podman, name)
    pushed = build_image("pushed", layers=2)
    wire.push_image("team/app", "1", pushed)
    podman("pull", "--quiet", "--tls-verify=false", f"127.0.0.1:{port}/team/app:1")
    assert "uid=1000(moorage)" in podman("exec", name, "id")
    assert "answers 200" in podman("exec", name, "/usr/lib/moorage/healthcheck")
    assert wire.request("DELETE", f"/v2/team/app/manifests/{pushed.manifest.digest}").status == 202
    podman("stop", "--time", "30", name)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"
    collected = podman(*("run", "--rm", *placed, started, "garbage-collect", "/etc/docker/registry/config.yml", "-m"))
    assert "blob" in collected


def test_a_push_that_is_under_way_ends_before_the_container_does(podman: Containers) -> None:
    port, name, content = free_port(), "drained", random.Random("drained").randbytes(2 << 20)
    environ = ("--env", f"REGISTRY_HTTP_ADDR=127.0.0.1:{port}")
    podman("run", "--detach", "--name", name, *PLAIN, *LIMITS, *LOCKED, *environ, image(podman, "registry"))
    address = answered(f"127.0.0.1:{port}", podman, name).address
    with ExitStack() as stack:
        pushing = begin_put(address, "team/drained", content, stack=stack)
        podman("kill", "--signal", "TERM", name)
        eventually("new connections are refused", lambda: refuses_connections(address))
        pushing.sendall(content[len(content) // 2 :])
        assert status_of(pushing) == 201
    assert podman("wait", name) == "0"
    podman("start", name)
    answer = answered(address, podman, name).blob("team/drained", sha256(content))
    assert answer.body == content
    podman("stop", "--time", "30", name)


def test_everything_starts_with_accounts(podman: Containers) -> None:
    name, registry, control = "everything", free_port(), free_port()
    addresses = ("--addr", f"127.0.0.1:{registry}", "--control-addr", f"127.0.0.1:{control}")
    words = ("up", "/var/lib/moorage/all", *addresses)
    podman("run", "--detach", "--name", name, *PLAIN, *LIMITS, *LOCKED, image(podman, "everything"), *words)
    wire = answered(f"127.0.0.1:{registry}", podman, name)
    assert wire.request("GET", "/v2/").status == 401
    answered(f"127.0.0.1:{control}", podman, name)  # It listens once the first administrator is there.
    password = podman("exec", name, "cat", "/var/lib/moorage/all/initial_password")
    podman("login", "--tls-verify=false", "-u", "root", "-p", password.strip(), f"127.0.0.1:{registry}")
    podman("stop", "--time", "30", name)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"


def test_keys_for_several_nodes_are_made_once_in_a_volume(podman: Containers) -> None:
    service = yaml.safe_load(COMPOSE.read_text())["services"]["keys"]
    placed = ("run", "--rm", *PLAIN, *LIMITS, *LOCKED, "-v", "keys:/etc/moorage", image(podman, "everything"))
    made: list[str] = []
    for _ in range(2):
        podman(*placed, *service["command"])
        made.append(podman(*placed, "cat", "/etc/moorage/keys/registry.pem"))
    keys = [said[said.index("-----BEGIN CERTIFICATE") :] for said in made]  # podman may warn of something before.
    assert keys[0] == keys[1]


def test_the_registry_alone_says_where_accounts_are(podman: Containers) -> None:
    status, said = podman.attempt("run", "--rm", *PLAIN, *LIMITS, image(podman, "registry"), "up", "/tmp/all")
    assert (status, "Traceback" in said) == (1, False)
    assert "control" in said


def test_both_say_what_they_are(podman: Containers) -> None:
    for target, size_mb in (("registry", 230), ("everything", 280)):
        [about] = json.loads(podman("image", "inspect", image(podman, target)))
        labels = {name.rpartition(".")[2] for name in about["Labels"]}
        assert {"title", "version", "revision", "licenses", "created"} <= labels
        assert about["Config"]["User"] == "1000:1000"
        assert about["Healthcheck"]["Test"] == ["CMD", "/usr/lib/moorage/healthcheck"]
        assert about["Size"] < size_mb * 1_000_000
