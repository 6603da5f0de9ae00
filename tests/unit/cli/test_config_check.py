"""``moorage config check`` as its own process: what it prints, and its status."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.commands import moorage

GOOD = "version: 0.1\nstorage: inmemory\nhttp: {addr: '127.0.0.1:5000'}\n"
ODD = f"{GOOD}htpp: {{addr: ':1'}}\ncompatibility: {{schema1: {{signingkeyfile: /key.json, enabled: true}}}}\n"
BAD = "storage: inmemory\nhttp: {prefix: registry}\n"


def check(*args: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    found = moorage("config", "check", *args, timeout_s=60, env={**clean, **environ})
    assert "Traceback" not in found.stderr + found.stdout
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_good(config: Path) -> None:
    found = check(str(config))
    assert (found.returncode, found.stdout, found.stderr) == (0, "the configuration is good\n", "")


def test_the_file_may_be_named_by_a_variable_and_other_variables_count(config: Path) -> None:
    found = check(REGISTRY_CONFIGURATION_PATH=str(config), REGISTRY_HTTP_PREFIX="registry", REGISTRY_BOGUS="1")
    assert found.returncode == 1
    assert found.stderr.startswith(
        "error: http.prefix: must begin with a slash, such as /registry/; the value is that of REGISTRY_HTTP_PREFIX\n"
        "warning: ignoring unrecognized environment variable REGISTRY_BOGUS\n"
    )
    assert found.stdout == "the configuration cannot be used\n"


def test_every_mistake_is_printed(config: Path) -> None:
    config.write_text(BAD)
    found = check(str(config))
    assert found.returncode == 1
    assert found.stderr.splitlines() == [
        "error: version: is needed; write version: 0.1",
        "error: http.prefix: must begin with a slash, such as /registry/",
    ]
    assert found.stdout == "the configuration cannot be used\n"


def test_warnings_do_not_fail_unless_strict(config: Path) -> None:
    config.write_text(ODD)
    found = check(str(config))
    assert found.returncode == 0
    assert found.stderr.splitlines() == [
        "warning: htpp: unknown key, ignored; did you mean http?",
        "warning: accepted, without function here: compatibility",
    ]
    assert found.stdout == "the configuration is good\n"
    strict = check("--strict", str(config))
    assert (strict.returncode, strict.stdout.splitlines()[-1]) == (1, "the configuration cannot be used")


def test_json_is_for_scripts(config: Path) -> None:
    config.write_text(ODD)
    found = check("--json", str(config))
    said: dict[str, Any] = json.loads(found.stdout)
    assert (found.returncode, said["ok"], said["mistakes"]) == (0, True, [])
    assert (said["unknown"], said["not_implemented"]) == (["htpp"], ["compatibility"])
    assert said["warnings"] == ["htpp: unknown key, ignored; did you mean http?"]
    config.write_text(BAD)
    found = check("--json", str(config))
    said = json.loads(found.stdout)
    assert (found.returncode, said["ok"], found.stderr) == (1, False, "")
    assert [mistake["path"] for mistake in said["mistakes"]] == ["version", "http.prefix"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"version: \xff", "it is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_a_mistake(config: Path, content: bytes | None, reason: str) -> None:
    config.unlink()
    if content is not None:
        config.write_bytes(content)
    found = check(str(config))
    assert (found.returncode, found.stderr) == (1, f"error: cannot read {config}: {reason}\n")


def test_a_folder_is_a_mistake(tmp_path: Path) -> None:
    found = check(str(tmp_path))
    assert (found.returncode, found.stderr) == (1, f"error: cannot read {tmp_path}: Is a directory\n")


def test_without_a_file_the_variables_are_checked() -> None:
    assert check().returncode == 0
    found = check(REGISTRY_PROXY_REMOTEURL="https://registry-1.docker.io")
    assert found.returncode == 1
    assert found.stderr.startswith("error: proxy.remoteurl: there is no mirror yet")


def test_a_certificate_that_is_not_there_is_seen_without_a_start(config: Path) -> None:
    config.write_text("version: 0.1\nstorage: inmemory\nhttp: {tls: {certificate: /nowhere/c, key: /nowhere/k}}\n")
    found = check(str(config))
    assert found.returncode == 1
    assert found.stderr.splitlines() == [
        f"error: http.tls.{key}: cannot read /nowhere/{key[0]}: No such file or directory on this machine; "
        "check it where the registry will run"
        for key in ("certificate", "key")
    ]


def test_what_cannot_be_printed_is_written_out(config: Path) -> None:
    config.write_text(f'{GOOD}"\\e[31m": 1\n')
    found = check(str(config), **{"REGISTRY_\udcff": "1", "PYTHONIOENCODING": "ascii:strict"})
    assert found.returncode == 0
    assert "warning: \\x1b[31m: unknown key, ignored" in found.stderr
