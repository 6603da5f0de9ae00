"""A provider's words about a person, and its refusals."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.errors import Refused


class ProviderRefused(Refused):
    """A provider of identities did not answer, or its answer is not right. The log has the reason."""


@dataclass(frozen=True, slots=True)
class IdentityClaims:
    """A person, as a provider tells of them."""

    uid: str
    username: str = ""
    email: str = ""
    is_email_verified: bool = False
    name: str = ""
    groups: Sequence[str] | None = None
    """None: it says nothing of groups."""
    stable_id: str = ""
    """As at ``ExternalIdentity``."""
