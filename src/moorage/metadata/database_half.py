"""The identity of the registry that a database is half of; the other half is storage."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class DatabaseHalf:
    """A registry's identity and some of its blobs, as the database knows them."""

    identity: str
    some_blobs: Sequence[Digest]
    """The first blobs that it knows; empty: it knows none."""
