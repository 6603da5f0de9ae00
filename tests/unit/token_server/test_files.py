"""The files of the token server: what the server refuses, ``token explain`` refuses with the same words."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError, Mistake
from moorage.token_server.explaining import explain_all
from moorage.token_server.settings import TokenServerSettings
from moorage.wiring.token_server import TokenServer
from unit.auth.test_passwords import hashed

RULES = b"rules:\n- users: [ada]\n  repositories: ['app']\n  actions: [pull]\n"
USERS = f"ada:{hashed('secret')}\n".encode()
FILLING = b"# nothing\n"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.yml"
    path.write_text("issuer: i\nservice: s\nusers: users\nrules: rules.yml\nkeys: keys\n")
    (tmp_path / "rules.yml").write_bytes(RULES)
    (tmp_path / "users").write_bytes(USERS)
    return path


def served(settings: Path) -> Sequence[Mistake]:
    with pytest.raises(ConfigurationError) as caught:
        TokenServer(TokenServerSettings.read(settings))
    return caught.value.mistakes


def explained(settings: Path) -> Sequence[Mistake]:
    with pytest.raises(ConfigurationError) as caught:
        explain_all(settings, "ada", ["repository:app:pull"])
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        # Without its end, each would be a good file that says something else.
        ("rules.yml", RULES + FILLING * 110_000 + b"- users: [eve]\n", "it has more than 1048576 bytes"),
        ("users", USERS + FILLING * 1_700_000 + b"ada:x\n", "it has more than 16777216 bytes"),
        ("rules.yml", b"rules:\n- users: []\n", "rules[0].users"),
        ("users", b"ada", "line 1 is no user and hash"),
        ("rules.yml", None, "No such file"),
        ("users", None, "No such file"),
    ],
    ids=["long rules", "many users", "no rules", "no users", "rules are missing", "users are missing"],
)
def test_what_the_server_refuses_is_not_explained(settings: Path, name: str, content: bytes | None, said: str) -> None:
    path = settings.parent / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    mistakes = served(settings)
    assert said in str(mistakes[0])
    assert explained(settings) == mistakes


def test_what_the_server_takes_is_explained(settings: Path) -> None:
    TokenServer(TokenServerSettings.read(settings))
    assert [answer.allowed for answer in explain_all(settings, "ada", ["repository:app:pull,push"])] == [True, False]
