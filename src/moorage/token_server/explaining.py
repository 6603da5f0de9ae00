"""``moorage token explain``: the decision that a token would be made by, in words."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from moorage.errors import ConfigurationError, Mistake
from moorage.token_server.files import open_rules, open_users
from moorage.token_server.rules import EVERYBODY
from moorage.token_server.scopes import ScopeInvalid, parse_scopes
from moorage.token_server.settings import TokenServerSettings

_CONCERNS = 20


class Explained(NamedTuple):
    """One action of one scope."""

    scope: str
    action: str
    allowed: bool
    reason: str


def explain_all(settings_path: Path, user: str, scopes: Sequence[str]) -> Sequence[Explained]:
    """Explain which actions of *scopes* a user has, and why. No keys are needed, and no server.

    Raises:
        ConfigurationError: a file or a scope cannot be used.
    """
    settings = TokenServerSettings.read(settings_path)
    rules, somebody = open_rules(settings).get(), None if user == EVERYBODY else user
    try:
        asked = parse_scopes(scopes)
    except ScopeInvalid as exc:
        raise ConfigurationError([Mistake("SCOPE", str(exc))]) from None
    stranger = somebody is not None and somebody not in open_users(settings).get().hashes
    return [
        Explained(
            f"{scope.kind}:{scope.name}",
            verdict.action,
            verdict.is_allowed and not stranger,
            f"{user} is not in {settings.users} and cannot log in" if stranger else verdict.reason,
        )
        for scope in asked
        for verdict in rules.explain(somebody, scope)
    ]


def concerns_about(settings_path: Path, user: str) -> Sequence[str]:
    """Return what a user has only because something else has the same name, which nobody may have meant.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    rules = open_rules(TokenServerSettings.read(settings_path)).get()
    return [] if user == EVERYBODY else list(islice(rules.concerns([user]), _CONCERNS))
