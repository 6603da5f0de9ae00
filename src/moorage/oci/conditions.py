"""Conditions of a request on what is there, where the digest is the entity tag.

Source: RFC 9110 § 13.1.1 (``If-Match``) and § 13.1.2 (``If-None-Match``).
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from moorage.oci.digests import Digest

ANY = "*"
"""The entity tag of whatever is there."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The entity tags of which one has to be there, and those of which none may be; None: it does not matter."""

    wanted: AbstractSet[str] | None = None
    unwanted: AbstractSet[str] | None = None

    def holds(self, there: Digest | None) -> bool:
        """Return whether it is so; *there* None: nothing is."""
        return (self.wanted is None or _is_among(self.wanted, there)) and (
            self.unwanted is None or not _is_among(self.unwanted, there)
        )

    @property
    def is_for_nothing(self) -> bool:
        """True if nothing may be there."""
        return self.unwanted is not None and ANY in self.unwanted

    @property
    def is_for_some(self) -> bool:
        """True if what is there has to be one of some digests."""
        return self.wanted is not None and ANY not in self.wanted


ALWAYS = Condition()


def _is_among(tags: AbstractSet[str], there: Digest | None) -> bool:
    return there is not None and (ANY in tags or str(there) in tags)
