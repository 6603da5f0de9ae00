"""Credentials in, a grant or a challenge out. Once authentication is configured, nothing passes without."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from moorage.auth.access import EVERYTHING, Access, Grant
from moorage.errors import Challenge, Unauthorized

REQUIRED = "authentication required"


class Caller(Protocol):
    """The parts of a request that a guard sees."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""

    @property
    def id(self) -> str:
        """The request's id, for the log."""

    @property
    def address(self) -> str:
        """The address that it comes from; empty if that is not known."""


class Guard(ABC):
    """Decides what the credentials of a request allow."""

    @abstractmethod
    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        """Return the rights of the credentials of *caller*, which include all of *wanted*.

        *optional*: access that a challenge asks for too, and that the credentials need not allow.

        Raises:
            Unauthorized: they are missing or wrong, or do not allow *wanted*; with the challenge to answer.
            TooManyRequests: too many were wrong.
        """

    @abstractmethod
    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        """See that a *grant*, which :meth:`check` gave, allows what is *wanted* besides.

        Raises:
            Unauthorized: it does not.
        """


class OpenGuard(Guard):
    """``auth.none``, or no ``auth`` at all: everybody may do everything."""

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        del caller, wanted, optional
        return EVERYTHING

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        del caller, grant, wanted


class SillyGuard(Guard):
    """``auth.silly``: any ``Authorization`` header will do. For trying out how clients behave, nothing else."""

    def __init__(self, realm: str, service: str) -> None:
        self._realm = realm
        self._service = service

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        if "Authorization" in caller.headers:
            return EVERYTHING
        asked = [*wanted, *optional]
        raise unauthorized(REQUIRED, bearer_challenge(self._realm, self._service, asked), asked)

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        del caller, grant, wanted


def unauthorized(message: str, challenge: Challenge, wanted: Iterable[Access]) -> Unauthorized:
    """A refusal that lists what was *wanted*."""
    listed = [{"Type": access.kind, "Class": "", "Name": access.name, "Action": access.action} for access in wanted]
    return Unauthorized(message, challenge=challenge, access=listed)


def bearer_challenge(
    realm: str, service: str, wanted: Iterable[Access], *, error: str = "", description: str = ""
) -> Challenge:
    """The ``WWW-Authenticate`` value that tells a client where to get a token, and for what.

    Source: Docker token authentication specification; RFC 6750 § 3.
    """
    parts = [f'realm="{_quoted(realm)}"', f'service="{_quoted(service)}"']
    grouped = groupby(wanted, key=lambda access: (access.kind, access.name))
    scopes = [f"{kind}:{name}:{','.join(access.action for access in group)}" for (kind, name), group in grouped]
    if scopes:
        parts.append(f'scope="{" ".join(scopes)}"')
    if error:
        parts.append(f'error="{error}"')
        if description:
            parts.append(f'error_description="{_described(description)}"')
    return Challenge(f"Bearer {','.join(parts)}")


def basic_challenge(realm: str) -> Challenge:
    """The ``WWW-Authenticate`` value that asks for a name and a password.

    Source: RFC 7617 § 2.
    """
    return Challenge(f'Basic realm="{_quoted(realm)}", charset="UTF-8"')


_NOT_DESCRIBED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)
_DESCRIPTION_LIMIT = 300


def warned(challenge: Challenge, text: str) -> Challenge:
    """The same challenge with a text that clients tell people: for the answer to HEAD, which has no body.

    Source: distribution-spec § Warnings.
    """
    return Challenge(challenge.header, _NOT_DESCRIBED.sub("'", text))


def _described(text: str) -> str:
    return _NOT_DESCRIBED.sub("'", text)[:_DESCRIPTION_LIMIT]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
