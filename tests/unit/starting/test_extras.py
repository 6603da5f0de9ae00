"""Packages of vendors: loaded where they are configured, asked for with the command to type where they are missing."""

import subprocess
import sys

import pytest

from moorage.config import load
from moorage.errors import ConfigurationError
from moorage.wiring.storage import storage_driver


def test_without_the_extra_there_is_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("moorage.storage.s3", "aiobotocore")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    loaded = load("version: 0.1\nstorage: {s3aws: {region: eu-west-1, bucket: images}}\n", {})
    with pytest.raises(ConfigurationError) as caught:
        storage_driver(loaded.config)
    (mistake,) = caught.value.mistakes
    assert mistake.path == "storage.s3aws"
    assert mistake.message.endswith("type: pip install 'moorage[s3]'")


def test_a_registry_on_a_folder_loads_nothing_of_a_vendor() -> None:
    code = "import sys, moorage.wiring.registry, moorage.starting.registry_start; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "moorage.storage.filesystem" in loaded
    assert [name for name in loaded if name.partition(".")[0] in {"aiobotocore", "botocore", "awscrt"}] == []
    assert "moorage.storage.s3" not in loaded


def test_a_registry_loads_nothing_of_the_control_plane() -> None:
    code = "import sys, moorage.cli, moorage.wiring.registry, moorage.starting.registry_start; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "moorage.wiring.registry" in loaded
    assert [
        name for name in loaded if name.partition(".")[0] in {"django", "ninja", "authlib", "fido2", "argon2"}
    ] == []
    assert [name for name in loaded if name.startswith("moorage.control")] == []
