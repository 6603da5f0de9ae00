"""The tests' own surroundings: what others left on the machine changes nothing, and nothing of ours stays there."""

import os
import re
import stat
import sys
from pathlib import Path

import pytest

from e2e.images import build_image, write_layout
from e2e.wire import Wire
from support.clients import Skopeo, attempt
from support.surroundings import KEPT, alone, isolate

SHARED = (Path("/var/lib/containers"), Path("/etc/containers"), Path("/etc/docker"))


def seen(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file below the folders, with its size and the time of its last change."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_changes_a_programs_behaviour_is_taken_out_of_the_environment(tmp_path: Path) -> None:
    environ = {
        "PATH": "/usr/bin",
        "LANG": "de_DE.ISO-8859-1",
        "LC_ALL": "de_DE.ISO-8859-1",
        "COLUMNS": "20",
        "GIT_DIR": "/somewhere/.git",
        "OTEL_TRACES_EXPORTER": "otlp",
        "PYTHONUTF8": "0",
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_FILE": "/somewhere/auth.json",
        "MOORAGE_REGISTRY": "https://elsewhere.example",
        "MOORAGE_TEST_SEED": "7",
        "HTTPS_PROXY": "http://proxy.example",
        "no_proxy": "*",
        "PGHOST": "db.example",
        "SSL_CERT_FILE": "/somewhere/ca.pem",
        "HOME": "/home/somebody",
        "XDG_CONFIG_HOME": "/home/somebody/.config",
        "DOCKER_HOST": "unix:///somewhere",
    }
    isolate(environ, tmp_path)
    kept = {name: environ.pop(name) for name in ("PATH", "LANG", "MOORAGE_TEST_SEED")}
    assert kept == {"PATH": "/usr/bin", "LANG": "C.UTF-8", "MOORAGE_TEST_SEED": "7"}
    assert {Path(place).parent for place in environ.values()} == {tmp_path}
    assert sorted(environ) == ["DOCKER_CONFIG", "HOME", *sorted(n for n in environ if n.startswith("XDG_"))]


def test_every_variable_that_a_test_asks_for_reaches_it() -> None:
    asked = {
        name
        for path in Path(__file__).parents[1].rglob("*.py")
        for name in re.findall(r'environ\.get\("(MOORAGE_[A-Z_]+)"', path.read_text())
    }
    assert {"MOORAGE_ADOPTION_SEED", "MOORAGE_TEST_SEED"} <= asked
    assert not [name for name in asked if not name.startswith(KEPT)]


def test_new_files_have_the_usual_modes_whatever_the_umask_of_whoever_runs_the_tests(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"])
def test_what_a_test_starts_hears_signals_though_whoever_runs_the_tests_is_deaf_to_them(name: str) -> None:
    script = (
        "import signal, subprocess, sys; from support.surroundings import hear_signals; "
        f"signal.signal(signal.{name}, signal.SIG_IGN); hear_signals(); "
        f"subprocess.run([sys.executable, '-c', 'import os, signal; os.kill(os.getpid(), signal.{name}); print(7)'])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    status, told = attempt(sys.executable, "-c", script, env=environ)
    assert (status, "7" in told.split()) == (0, False)


def test_this_run_has_a_home_of_its_own() -> None:
    assert Path.home().parent.name.startswith("moorage-home-")
    assert not [name for name in os.environ if name.startswith("REGISTRY_")]


@pytest.mark.parametrize("name", ["skopeo", "podman", "buildah"])
def test_a_client_leaves_nothing_in_the_folders_that_all_share(
    name: str, wire: Wire, repository: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(name)
    before = seen(*SHARED)
    there = f"{wire.address}/{repository}:v1"
    if isinstance(client, Skopeo):
        source = write_layout(client.folder / "source", {"v1": build_image(repository)})
        client.copy(f"oci:{source}:v1", f"docker://{there}")
        # It did remember: in its own place.
        assert list(client.folder.rglob("blob-info-cache-v1.*"))
    else:
        wire.push_image(repository, "v1", build_image(repository))
        client("pull", "--tls-verify=false", there)
    assert seen(*SHARED) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="others than root have these folders in their own home")
def test_a_file_that_others_left_in_a_shared_folder_is_not_seen(tmp_path: Path) -> None:
    status, told = attempt(*alone(tmp_path), "ls", "-A", "/var/lib/containers", "/etc/containers")
    assert (status, told.split()) == (0, ["/etc/containers:", "policy.json", "/var/lib/containers:"])


@pytest.mark.xdist_group("told")
def test_the_group_of_a_test_is_told_to_whoever_distributes_it(request: pytest.FixtureRequest) -> None:
    """Tests of one port or one server of a kind would meet in two processes, without a word."""
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("groups are of no concern in one process")
    assert request.node.nodeid.endswith("@told")
