"""What `make release` makes: the same twice, installed without a network, with a list of what it consists of."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from moorage import __version__
from support.components import need
from support.parts_lists import fault_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
SECONDS = 900


def released(folder: Path) -> dict[str, str]:
    environ = {**os.environ, "IMAGES": "0"}
    command = [str(ROOT / "scripts" / "make-release"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-4000:]
    return {name: digest for digest, name in map(str.split, (folder / "SHA256SUMS").read_text().splitlines())}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("git", "tar", "gzip")
    if not (ROOT / ".git").exists():
        pytest.skip("a release is made of a commit")
    folder = tmp_path_factory.mktemp("first")
    released(folder / "out")
    return folder / "out"


def test_the_same_commit_gives_the_same_files(first: Path, tmp_path: Path) -> None:
    again = released(tmp_path / "again")
    assert set(again) == {file.name for file in first.iterdir()} - {"SHA256SUMS"}
    assert again == {name: digest for digest, name in map(str.split, (first / "SHA256SUMS").read_text().splitlines())}


def test_a_site_without_a_way_out_installs_from_the_folder_of_wheels(first: Path, tmp_path: Path) -> None:
    [bundle] = first.glob("moorage-*-wheels-*.tar.gz")
    with tarfile.open(bundle) as archive:
        archive.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    venv = tmp_path / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], check=True)
    # Pip is not to find anything anywhere else.
    environ = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet", "--no-index"]
    pins = ["--require-hashes", "--find-links", str(folder), "-r", str(folder / "requirements.txt")]
    subprocess.run([*pip, *pins], env=environ, check=True, timeout=SECONDS)
    [wheel] = folder.glob("moorage-*.whl")
    subprocess.run([*pip, "--no-deps", str(wheel)], env=environ, check=True, timeout=SECONDS)
    said = subprocess.run([venv / "bin" / "moorage", "version"], capture_output=True, text=True, check=True).stdout
    assert __version__ in said


def test_the_list_of_parts_has_every_wheel_with_its_hash(first: Path) -> None:
    text = (first / f"moorage-{__version__}.cdx.json").read_text()
    assert fault_of(text) is None
    parts = json.loads(text)["components"]
    assert {"aiohttp", "django", "aiobotocore"} <= {part["name"] for part in parts}
    assert all(part["hashes"] for part in parts)


def test_the_notes_are_those_of_the_fragments(first: Path) -> None:
    notes = (first / "NOTES.md").read_text()
    assert notes.startswith(f"## {__version__}\n")
    assert (ROOT / "changelog.d" / "387.added.md").read_text().strip() in notes
