"""The page about the token server: its files are good, it names every key, and it shows what the command says."""

import re
from pathlib import Path

from moorage.token_server.explaining import explain_all
from moorage.token_server.rules import Rule
from moorage.token_server.settings import Certificate, TokenServerSettings
from support.token_server import hashed

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "token-server.md").read_text()


def shown(mark: str, language: str) -> str:
    (found,) = re.findall(rf"^ *<!-- {mark} -->\n *```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return re.sub(r"^   ", "", found, flags=re.MULTILINE) if found.startswith("   ") else found


def test_the_files_of_the_page_give_the_answers_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "tokens.yml").write_text(shown("tokens.yml", "yml"))
    (tmp_path / "rules.yml").write_text(shown("rules.yml", "yml"))
    (tmp_path / "users").write_text(f"ada:{hashed('x')}\n")
    answers = explain_all(tmp_path / "tokens.yml", "ada", ["repository:team/app:pull,delete"])
    said = [f"{each.scope} {each.action}: {'allowed' if each.allowed else 'denied'}: {each.reason}" for each in answers]
    assert said == shown("says", "text").splitlines()


def test_every_key_is_on_the_page() -> None:
    names = [*TokenServerSettings.model_fields, *Certificate.model_fields, *Rule.model_fields]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
