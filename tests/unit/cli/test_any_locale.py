"""A name from outside may be no text, and a terminal may have no sign for it: neither ends a command in a traceback."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# As in a locale of that kind, in which Python does not start if its own path has other letters.
ASCII = {"PYTHONIOENCODING": "ascii"}
UTF8 = {"LC_ALL": "C.UTF-8"}
NOBODY = {"MOORAGE_REGISTRY": "http://127.0.0.1:1"}


def moorage(*words: str | bytes | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "moorage", *words]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(("locale", "shown"), [(ASCII, rb"zo\xeb"), (UTF8, "zoë".encode())], ids=["ascii", "utf-8"])
def test_a_name_is_shown_with_the_signs_that_the_locale_has(
    tmp_path: Path, locale: Mapping[str, str], shown: bytes
) -> None:
    (tmp_path / "users").write_text("zoë:x\nbob:x\n", encoding="utf-8")
    done = moorage("user", "list", tmp_path / "users", env=locale)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [shown, b"bob"], b"")


def test_a_word_that_is_no_text_is_told_and_a_path_may_be_none() -> None:
    done = moorage("tag", "history", b"caf\xe9/app", env={**UTF8, **NOBODY})
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == rb"error: 'caf\xe9/app' is no text in UTF-8" b"\n"
    done = moorage("config", "check", b"/caf\xe9.yml", env=UTF8)
    assert done.stderr == rb"error: cannot read /caf\udce9.yml: No such file or directory" b"\n"
