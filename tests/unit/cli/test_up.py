"""`moorage up`: what it refuses before it makes anything."""

import importlib.util
import sys
from pathlib import Path

import pytest

from moorage.cli import main
from moorage.control.serving.first_folder import prepare_folder


def test_without_the_control_plane_it_says_so_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("moorage.cli.up.find_spec", lambda name: None if name == "django" else found(name))
    monkeypatch.setattr(sys, "argv", ["moorage", "up", str(tmp_path / "all")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "moorage[control]" in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--certificate", "a.crt"], "--certificate: belongs to --domain"),
        (["--domain", "example.com", "--key", "a.key"], "--certificate: and --key belong together"),
        (["--domain", "https://example.com"], "--domain: https://example.com is no host's name"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str],
    words: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["moorage", "up", str(tmp_path / "all"), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_a_name_for_a_folder_that_was_made_without_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_folder(tmp_path, registry_addr="127.0.0.1:5000", control_addr="127.0.0.1:8080")
    monkeypatch.setattr(sys, "argv", ["moorage", "up", str(tmp_path), "--domain", "example.com"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "--domain: " in capsys.readouterr().err
