"""Credentials in, a grant or a challenge out. Once authentication is configured, nothing passes without."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import groupby

from moorage.auth.access import EVERYTHING, Access, Grant
from moorage.errors import Challenge, Unauthorized


class Guard(ABC):
    """Decides what the credentials of a request allow."""

    @abstractmethod
    def check(self, headers: Mapping[str, str], wanted: Sequence[Access]) -> Grant:
        """What the credentials in *headers* allow.

        Raises:
            Unauthorized: they are missing or wrong, or do not allow *wanted*; with the challenge to answer.
        """


class OpenGuard(Guard):
    """``auth.none``, or no ``auth`` at all: everybody may do everything."""

    def check(self, headers: Mapping[str, str], wanted: Sequence[Access]) -> Grant:
        del headers, wanted
        return EVERYTHING


class SillyGuard(Guard):
    """``auth.silly``: any ``Authorization`` header will do. For trying out how clients behave, nothing else."""

    def __init__(self, realm: str, service: str) -> None:
        self._realm = realm
        self._service = service

    def check(self, headers: Mapping[str, str], wanted: Sequence[Access]) -> Grant:
        if "Authorization" in headers:
            return EVERYTHING
        challenge = bearer_challenge(self._realm, self._service, wanted)
        raise Unauthorized(_MESSAGE, challenge=challenge, access=_listed(wanted))


class ClosedGuard(Guard):
    """For a scheme that is configured and that this version does not have yet: nobody gets in."""

    def __init__(self, *, scheme: str, realm: str, service: str = "") -> None:
        self._scheme = scheme
        self._realm = realm
        self._service = service

    def check(self, headers: Mapping[str, str], wanted: Sequence[Access]) -> Grant:
        del headers
        if self._scheme == "Basic":
            challenge = Challenge(f'Basic realm="{_quoted(self._realm)}"')
        else:
            challenge = bearer_challenge(self._realm, self._service, wanted)
        raise Unauthorized(_MESSAGE, challenge=challenge, access=_listed(wanted))


def bearer_challenge(realm: str, service: str, wanted: Sequence[Access]) -> Challenge:
    """The ``WWW-Authenticate`` value that tells a client where to get a token, and for what.

    Source: Docker token authentication specification.
    """
    parts = [f'realm="{_quoted(realm)}"', f'service="{_quoted(service)}"']
    grouped = groupby(wanted, key=lambda access: (access.kind, access.name))
    scopes = [f"{kind}:{name}:{','.join(access.action for access in group)}" for (kind, name), group in grouped]
    if scopes:
        parts.append(f'scope="{" ".join(scopes)}"')
    return Challenge(f"Bearer {','.join(parts)}")


_MESSAGE = "authentication required"


def _listed(wanted: Sequence[Access]) -> list[dict[str, str]]:
    return [{"Type": access.kind, "Class": "", "Name": access.name, "Action": access.action} for access in wanted]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
