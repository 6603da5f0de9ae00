"""The port of the two ways in which a push is written: ``sqlite_pushes.py`` and ``postgres_pushes.py``.

They are a pair: a rule that one of them learns is the other's too, and the contract tests run over both.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from moorage.metadata.base import Cause
from moorage.metadata.sql.new_manifest import NewManifest
from moorage.notifications.events import Notice
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A blob that a repository is to have."""

    digest: bytes
    size_bytes: int | None
    """None: only if the blob is known."""
    token: int
    """Of the expectation that the push has of it, or that this write makes of it."""
    at: datetime
    removals: int | None = None
    """None: it was expected. Else nobody has, and blobs have been removed so many times: if more, it is not linked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestChange:
    """A manifest to be written, with all that changes with it."""

    manifest: NewManifest
    tags: list[str]
    """Sorted: so two pushes never wait for each other."""
    required: list[bytes]
    """Digests without which nothing is written."""
    at: datetime
    cause: Cause
    expected: Mapping[str, bytes | None] = field(default_factory=dict)
    """Digests that some of the tags have to point to before; None: they must not be there."""


class PushWriter(ABC):
    """The writes of a push, each in one transaction."""

    @abstractmethod
    async def link_blob(self, name: RepositoryName, link: NewLink, *, told: Sequence[Notice]) -> bool:
        """Link a blob and note what is *told* of it. False: it is not expected any more, or not known."""

    @abstractmethod
    async def put_manifest(
        self, name: RepositoryName, change: ManifestChange, *, told: Sequence[Notice]
    ) -> Sequence[Digest]:
        """Write a manifest, its tags, what is *told* of it. Return what is required and missing: then nothing is.

        Raises:
            TagThere: a tag is there that must not be. Nothing is written.
            TagChanged: a tag points elsewhere than is expected. Nothing is written.
        """
