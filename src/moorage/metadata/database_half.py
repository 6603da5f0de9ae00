"""The database's word on which registry it is half of, the other half being storage."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class DatabaseHalf:
    """What the database says of the two halves of a registry."""

    identity: str
    some_blobs: Sequence[Digest]
    """The first that it knows; none: it knows none."""
