"""The decision that a token would be made by, in words: for ``moorage token explain``. Nothing is changed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from django.db import DatabaseError

from moorage.control.accounts.models import User
from moorage.control.accounts.rules import TokenScope
from moorage.control.credentials.finding import requester_of_token
from moorage.control.projects.models import DeployToken
from moorage.control.projects.requesters import ANYBODY, Requester
from moorage.control.projects.rules import CredentialKind
from moorage.control.tokens.granting import PUSH_PROTECTED, ScopeVerdict, verdicts_on
from moorage.control.tokens.rules import has_registry_ability
from moorage.errors import ConfigurationError, Mistake
from moorage.token_server.scopes import ScopeInvalid, parse_scopes

EVERYBODY = "anonymous"

_NO_ABILITY = "the token has no scope for the registry, and gets no token for it at all"


class ExplainedAction(NamedTuple):
    """One action of one scope."""

    scope: str
    action: str
    allowed: bool
    reason: str


@contextmanager
def telling_of_the_database() -> Iterator[None]:
    """Turn a database that does not answer into a mistake of the configuration.

    Raises:
        ConfigurationError: it does not, or has no tables.
    """
    try:
        yield
    except DatabaseError as exc:
        lines = str(exc).strip().splitlines()
        message = f"it cannot be used: {lines[0] if lines else type(exc).__name__}"
        raise ConfigurationError([Mistake("database", message)]) from None


def requester_named(name: str, scopes: Sequence[str] = ()) -> Requester:
    """Return who a name is: a user, ``anonymous``, or the user's name of a deploy token.

    Args:
        name: the name.
        scopes: as if the user came with a personal token of these scopes; empty: with the password.

    Raises:
        ConfigurationError: there is nobody of this name, or who cannot log in; or no such scope.
    """
    unknown = [word for word in scopes if word not in set(TokenScope)]
    if unknown:
        message = f"there is no scope {unknown[0][:40]!r}; there are {', '.join(TokenScope)}"
        raise ConfigurationError([Mistake("--token-scope", message)])
    if name == EVERYBODY:
        return ANYBODY
    user = User.objects.named(name).first()
    if user is not None:
        if not user.is_active:
            raise ConfigurationError([Mistake("USER", f"{name} is {user.state} and cannot log in")])
        kind = CredentialKind.PERSONAL_TOKEN if scopes or user.is_bot else CredentialKind.PASSWORD
        return Requester(credential=kind, user=user, scopes=frozenset(map(TokenScope, scopes)) if scopes else None)
    token = DeployToken.objects.filter(username=name, revoked_at=None).select_related("project", "namespace").first()
    if token is None:
        raise ConfigurationError([Mistake("USER", f"there is no user and no deploy token called {name[:80]}")])
    given = frozenset(TokenScope(word) for word in token.scopes)
    return Requester(credential=CredentialKind.DEPLOY_TOKEN, scopes=given, deploy_token=token)


def requester_with(secret: str) -> Requester:
    """Return who a token of any kind belongs to.

    Raises:
        CredentialsRefused: it is nobody's, or is not taken any more.
    """
    return requester_of_token(secret, address="")


def explain_access(who: Requester, scopes: Sequence[str]) -> Sequence[ExplainedAction]:
    """Explain which actions of *scopes* someone has, and why not.

    Raises:
        ConfigurationError: a scope cannot be read.
    """
    try:
        asked = parse_scopes(scopes)
    except ScopeInvalid as exc:
        raise ConfigurationError([Mistake("SCOPE", str(exc))]) from None
    verdicts = verdicts_on(who, asked, makes=False)
    is_refused = any(verdict.is_push_protected for verdict in verdicts)
    found = [row for verdict in verdicts for row in _explained(verdict)]
    if not has_registry_ability(who.scopes):
        return [row._replace(allowed=False, reason=_NO_ABILITY) for row in found]
    if is_refused:
        reason = f"{PUSH_PROTECTED}: the whole request is refused"
        return [row._replace(allowed=False, reason=reason) if row.allowed else row for row in found]
    return found


def _explained(verdict: ScopeVerdict) -> Sequence[ExplainedAction]:
    name, denied = f"{verdict.scope.kind}:{verdict.scope.name}", {one.action: one.reason for one in verdict.denials}
    return [
        ExplainedAction(name, action, action not in denied, denied.get(action) or _why(verdict))
        for action in verdict.scope.actions
    ]


def _why(verdict: ScopeVerdict) -> str:
    if verdict.would_make:
        return f"the push makes the project {verdict.would_make}"
    if verdict.project is None:
        return "administrators see the catalogue"
    project = verdict.project
    return f"by the rules of the project {project.full_path} ({project.visibility}, registry {project.feature})"
