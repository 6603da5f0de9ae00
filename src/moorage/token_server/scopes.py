"""Scopes that a client asks for: ``repository:group/app:pull,push``, several in one parameter and in several."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_KIND = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?", re.ASCII)
_ACTIONS = re.compile(r"(?:[a-z]{0,20}|\*)(?:,(?:[a-z]{0,20}|\*))*", re.ASCII)
_LENGTH_LIMIT = 1000

SCOPES_LIMIT = 100
"""That one token is asked for."""


class ScopeInvalid(ValueError):
    """A scope that cannot be read, or too many of them; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A thing and what is to be done with it, in the words of the request."""

    kind: str
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


def parse_scopes(values: Iterable[str]) -> tuple[Scope, ...]:
    """Read the values of all ``scope`` parameters; what is asked for twice is there once, with all actions.

    Raises:
        ScopeInvalid: one is malformed, or there are more than a token can hold.

    Source: Docker token authentication specification, *Resource Scope Grammar*. A class in parentheses means nothing
    any more.
    """
    found: dict[tuple[str, str], dict[str, None]] = {}
    for value in values:
        for word in value.split():
            kind, name, actions = _parts(word)
            found.setdefault((kind, name), {}).update(dict.fromkeys(actions))
            if len(found) > SCOPES_LIMIT:
                msg = f"a token is for {SCOPES_LIMIT} scopes at most"
                raise ScopeInvalid(msg)
    return tuple(Scope(kind, name, tuple(actions)) for (kind, name), actions in found.items())


def _parts(word: str) -> tuple[str, str, list[str]]:
    kind, _, rest = word.partition(":")
    # The name may have a host with a port, so that the actions are what is after the last colon.
    name, colon, actions = rest.rpartition(":")
    found = _KIND.fullmatch(kind)
    if found is None or not colon or not name or len(word) > _LENGTH_LIMIT or _ACTIONS.fullmatch(actions) is None:
        msg = f"{word[:100]!r} is no scope; it is kind:name:actions, such as repository:group/app:pull,push"
        raise ScopeInvalid(msg)
    return found[1], name, [action for action in actions.split(",") if action]
