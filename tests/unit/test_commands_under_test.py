"""Commands that tests run as copies of a loaded process are what ``python -m moorage`` is."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.commands import moorage


def anew(*words: str, **options: object) -> tuple[int, str, str]:
    """What a process says that begins by itself."""
    line = [sys.executable, "-m", "moorage", *words]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("words", [("check", "absent.yml"), ("chek",), ("config", "check", "config.yml")], ids=str)
def test_a_copy_says_and_returns_what_a_process_does_that_begins_by_itself(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "config.yml").write_text("version: 0.1\nstorage: inmemory\n")
    environ = {**os.environ, "REGISTRY_HTTP_ADDR": "nonsense"}
    copied = moorage(*words, cwd=tmp_path, env=environ)
    assert (copied.returncode, copied.stdout, copied.stderr) == anew(*words, cwd=tmp_path, env=environ)
    assert copied.returncode != 0


def test_a_copy_reads_what_it_is_given_and_takes_no_variable_to_the_next_one(tmp_path: Path) -> None:
    given = "version: 0.1\nstorage: inmemory\nhttp: {addr: '127.0.0.1:5000'}\n"
    words = ("config", "check", "/dev/stdin")
    odd = moorage(*words, cwd=tmp_path, given=given, env={**os.environ, "REGISTRY_HTTP_ADDR": "nonsense"})
    assert (odd.returncode, "REGISTRY_HTTP_ADDR" in odd.stderr + odd.stdout) == (1, True)
    assert moorage(*words, cwd=tmp_path, given=given).returncode == 0


def test_a_copy_that_does_not_end_in_time_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    pipe = tmp_path / "config.yml"
    os.mkfifo(pipe)
    with pytest.raises(subprocess.TimeoutExpired):
        moorage("config", "check", pipe, timeout_s=0.1)
    assert moorage("version").returncode == 0


def test_commands_of_two_threads_do_not_wait_for_each_other(tmp_path: Path) -> None:
    pipe, statuses = tmp_path / "config.yml", []
    os.mkfifo(pipe)
    first = threading.Thread(target=lambda: statuses.append(moorage("config", "check", pipe).returncode))
    first.start()
    with pipe.open("w") as writing:  # Opens when the first has begun to read.
        assert moorage("version").returncode == 0
        assert statuses == []
        writing.write("version: 0.1\nstorage: inmemory\nhttp: {addr: '127.0.0.1:5000'}\n")
    first.join()
    assert statuses == [0]
