"""Facts of a pull that a signed URL tells the provider, so that the bill for traffic can be read by project."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

OURS = "x-gitlab-"
"""The beginning of names where GitLab's registry has none. S3 ignores parameters that begin with ``x-``, and logs them.

Source: Amazon S3 User Guide, "Adding custom log information by using access log fields".
"""


@dataclass(frozen=True, slots=True)
class Egress:
    """One pull of a blob, as an account of traffic needs it; what is not known is 0, empty or None.

    Source: GitLab features DRV-031.
    """

    namespace_id: int = 0
    """GitLab's number of the group at the top."""
    project_id: int = 0
    """GitLab's number of the project."""
    auth_type: str = ""
    """The kind of credentials, as the token names it."""
    size_bytes: int | None = None
    """Of the blob."""

    @property
    def is_accountable(self) -> bool:
        """True if it is known whose traffic this is."""
        return bool(self.namespace_id or self.project_id)

    def pairs(self, prefix: str) -> Mapping[str, str]:
        """Return the parameters, whose names begin with *prefix*, in the order in which they are signed."""
        found: dict[str, str] = {}
        if self.auth_type:
            found[f"{prefix}auth-type"] = self.auth_type
        if self.namespace_id:
            found[f"{prefix}namespace-id"] = str(self.namespace_id)
        if self.project_id:
            found[f"{prefix}project-id"] = str(self.project_id)
        if self.size_bytes is not None:
            found[f"{prefix}size-bytes"] = str(self.size_bytes)
        return found

    def ours(self) -> Mapping[str, str]:
        """Return the parameters for where GitLab's registry has none: none, but where it is known whose traffic it is.

        So a registry without GitLab in front of it has the same URLs as ever.
        """
        return self.pairs(OURS) if self.is_accountable else {}


UNTOLD = Egress()
"""A pull of which nothing is said."""


def in_query(pairs: Mapping[str, str]) -> str:
    """Encode *pairs* as a part of a query, as every vendor signs it."""
    return "&".join(f"{name}={quote(value, safe='~')}" for name, value in pairs.items())
