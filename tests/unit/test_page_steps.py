"""Steps of pages that no other test types: a script, a command in a container, and the way out of a refused start."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moorage.backup.places import read_places
from moorage.errors import Mistake
from moorage.starting import store_choice
from moorage.storage.restore_note import RestoreNote
from support.components import need

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = DOCS / "how-to"
DEADLINE_S = 20.0


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_weekly_collection_brings_the_registry_back_when_a_signal_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    page = (HOW_TO / "offline-garbage-collection.md").read_text()
    (script,) = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    environment, began, log = tmp_path / "moorage.env", tmp_path / "began", tmp_path / "log"
    program(tmp_path, "systemctl", f'echo "$@ $(ls {environment} 2>/dev/null)" >>{log}')
    collection = f"touch {began}; exec sleep 0.5"
    program(tmp_path, "runuser", collection)
    program(tmp_path, "moorage", collection)
    (tmp_path / "script").write_text(script.replace("/run/moorage.env", str(environment)))
    given = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(["/bin/sh", str(tmp_path / "script")], env=given) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not began.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) != 0
    assert log.read_text().splitlines() == [f"restart moorage {environment}", "restart moorage "]


def test_a_backup_in_the_container_is_of_what_up_keeps_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (HOW_TO / "install-with-compose.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^docker compose .* moorage backup .*$", page, re.MULTILINE)
    words = shlex.split(line)
    volume = tmp_path / "volume"
    (volume / "registry").mkdir(parents=True)
    (volume / "config.yml").write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {volume}/registry}}}}\n")
    config = words[words.index("--config") + 1].replace("/var/lib/moorage", str(volume))
    monkeypatch.chdir(tmp_path)  # The image says no folder to work in.
    assert read_places(Path(config), None).config_file == volume / "config.yml"


def test_each_refusal_of_a_start_has_its_way_out_on_the_page() -> None:
    page = (HOW_TO / "switch-to-the-database.md").read_text()
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    refusals = [value for value in vars(store_choice).values() if isinstance(value, Mistake)]
    texts = [each.message for each in (*refusals, store_choice._in_link_files(""), store_choice._lost("", ""))]
    texts += [store_choice._other_storage("").message, RestoreNote(backup="b").said]
    patterns = [re.escape(heading).replace("…", ".*") for heading in headings]
    adopting = (HOW_TO / "adopt-in-place.md").read_text()
    said = re.findall(r"^\| `(.*?)` \|", adopting, re.MULTILINE)
    patterns += [re.escape(each).replace("…\\ ", "").replace("…", ".*") for each in said]
    assert [text for text in texts if not any(re.search(pattern, text) for pattern in patterns)] == []


def test_backups_and_offline_collections_of_the_pages_are_not_due_at_the_same_moment() -> None:
    due: dict[str, set[tuple[str, str]]] = {"backup": set(), "collect": set()}
    for page in DOCS.rglob("*.md"):
        if page.parent.name != "adr":
            for minute, hour, line in re.findall(r"\b(\d+) (\d+) \* \* [*0-7] +(.*)", page.read_text()):
                due["collect" if "collect" in line else "backup"].add((minute, hour))
    assert due["collect"] == {("5", "4")}, "that of the package's timer"
    assert due["backup"] - due["collect"] == due["backup"] != set()


def test_a_worker_is_found_by_the_command_of_the_page_about_profiles() -> None:
    need("pgrep")
    (line,) = re.findall(r'--pid "\$\((.*?)\)"', (HOW_TO / "monitoring.md").read_text())
    code = "from moorage.server import supervisor; supervisor._name_process(0); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        words = [word for word in shlex.split(line) if word != "--oldest"]  # Other tests have workers, too.
        found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S).stdout
        worker.kill()
    assert str(worker.pid) in found.split()
