"""Nothing secret that a caller gives in a wrong form is in what is said about it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from moorage import cli
from moorage.client.credentials import Credentials, NotLoggedIn
from moorage.client.docker_config import LoginFiles, LoginFileUnusable

NOBODY = "http://127.0.0.1:1"
WITH_PASSWORD = "http://ada:s3cret@127.0.0.1:1"


def said(
    words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    monkeypatch.setattr("sys.argv", ["moorage", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize("token", ["s3cret\n", "s3\r\ncret", "s3cret\u00e9"], ids=repr)
@pytest.mark.parametrize(
    "words", [["repo", "list"], ["tag", "history", "a/b"], ["copy", "a/b:1", "c/d:1"]], ids=" ".join
)
def test_a_token_that_cannot_be_sent_is_not_shown(
    words: Sequence[str], token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOORAGE_REGISTRY", NOBODY)
    monkeypatch.setenv("MOORAGE_TOKEN", token)
    status, _, err = said(words, monkeypatch, capsys)
    assert status == 1
    assert "the token in MOORAGE_TOKEN cannot be sent: it has a line break" in err
    assert "s3" not in err


def test_a_token_of_a_server_that_cannot_be_sent_is_not_shown() -> None:
    credentials = Credentials()
    credentials.header = "Bearer s3cret\nX: y"
    with pytest.raises(NotLoggedIn, match=r"^the token that was got cannot be sent: ") as refused:
        credentials.header_for("https://registry.example")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        ["repo", "list", WITH_PASSWORD],
        ["tag", "list", f"{WITH_PASSWORD}/a/b"],
        ["undo", "3f9a6c1e", "--registry", WITH_PASSWORD],
        ["copy", f"{WITH_PASSWORD}/a/b:1", f"{NOBODY}/c/d"],
        ["copy", f"{NOBODY}/c/d", f"{WITH_PASSWORD}/a/b:1", "--json"],
    ],
    ids=" ".join,
)
def test_a_password_in_a_url_is_refused_and_not_shown(
    words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said(words, monkeypatch, capsys)
    assert (status, out) == (1, "")
    assert "http://…@127.0.0.1:1 is no URL of a registry: it names a user; `moorage login`" in err
    assert "s3cret" not in err


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\nb"], ids=repr)
def test_a_helper_with_a_name_that_is_none_is_a_message(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": name}))
    files = LoginFiles((tmp_path / "config.json",), {})
    with pytest.raises(LoginFileUnusable, match=r" is no name of a credential helper$"):
        files.find("registry.example")


def test_a_user_in_a_file_who_is_no_text_is_a_message() -> None:
    with pytest.raises(NotLoggedIn, match=r"^the user or the password for registry\.example is no text in UTF-8$"):
        Credentials("\ud800", "x").answer("https://registry.example", ["Basic realm=x"])
