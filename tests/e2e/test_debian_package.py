"""The Debian package: installed, served, upgraded with its data, removed and purged, in a copy of this machine.

The copy is an overlay, so that nothing of it stays here.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.components import need
from support.ports import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 900
STORY = """\
set -eu
dpkg -i /tmp/moorage.deb
grep -q . /var/lib/moorage/initial_password
runuser -u moorage -- moorage control user list --config /etc/moorage/control.yml | grep -q root
runuser -u moorage -- moorage config check /etc/moorage/config.yml
runuser -u moorage -- moorage serve /etc/moorage/config.yml --addr 127.0.0.1:$PORT >/tmp/registry.log 2>&1 &
registry=$!
for attempt in $(seq 300); do
    curl -s -o /tmp/answer -D /tmp/head http://127.0.0.1:$PORT/v2/ && break
    sleep 0.2
done
grep -q '401 Unauthorized' /tmp/head
kill $registry
wait $registry || true
echo '# a change of mine' >>/etc/moorage/config.yml
echo 'REGISTRY_DATABASE_SQLITE="/var/lib/moorage/of the service.db"' >/etc/moorage/registry.env
echo 'MOORAGE_CONTROL_DATABASE_SQLITE=/var/lib/moorage/of the service too.db' >/etc/moorage/control.env
dpkg -i /tmp/moorage.deb
grep -q 'a change of mine' /etc/moorage/config.yml
test -e '/var/lib/moorage/of the service.db'
test -e '/var/lib/moorage/of the service too.db'
runuser -u moorage -- moorage control user list --config /etc/moorage/control.yml | grep -q root
man -w moorage
test -s /usr/share/bash-completion/completions/moorage
dpkg --remove moorage
test -e /var/lib/moorage/control.db
test -e /etc/moorage/config.yml
test ! -e /usr/bin/moorage
dpkg --purge moorage
test ! -e /var/lib/moorage
test ! -e /etc/moorage
echo the story has ended
"""


def test_whatever_systemd_runs_over_the_registry_has_its_variables() -> None:
    """They may say where the images are."""
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        ours = "control.env" if "moorage control" in unit.read_text() else "registry.env"
        assert f"\nEnvironmentFile=-/etc/moorage/{ours}\n" in unit.read_text(), unit.name


@pytest.fixture
def package(tmp_path: Path) -> Path:
    need("dpkg-deb", "curl", "chroot", root=True)
    command = [str(ROOT / "scripts" / "make-deb"), str(tmp_path / "build")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=SECONDS)
    [found] = (tmp_path / "build").glob("*.deb")
    return found


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A copy of this machine's files that keeps its changes to itself."""
    parts = {name: tmp_path / name for name in ("upper", "work", "merged")}
    for part in parts.values():
        part.mkdir()
    options = f"lowerdir=/,upperdir={parts['upper']},workdir={parts['work']}"
    merged = parts["merged"]
    mounts = (("overlay", "-t", "overlay", "-o", options), ("/proc", "--bind"), ("/dev", "--bind"))
    places = [merged, merged / "proc", merged / "dev"]
    done: list[Path] = []
    try:
        for (what, *how), place in zip(mounts, places, strict=True):
            subprocess.run(["mount", *how, what, str(place)], check=True, capture_output=True)
            done.append(place)
        yield merged
    finally:
        for place in reversed(done):
            subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.long
@pytest.mark.timeout(3 * SECONDS)
def test_a_package_is_installed_upgraded_removed_and_purged(package: Path, root: Path) -> None:
    (root / "tmp" / "moorage.deb").write_bytes(package.read_bytes())
    (root / "tmp" / "story.sh").write_text(STORY)
    environ = {"PATH": os.environ["PATH"], "PORT": str(free_port()), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    command = ["chroot", str(root), "sh", "-x", "/tmp/story.sh"]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert found.stdout.splitlines()[-1:] == ["the story has ended"], found.stderr[-3000:]
