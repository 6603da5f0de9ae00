"""Bytes in storage that are the payload of a manifest which the database has."""

from moorage.integrity.references import References
from moorage.metadata.integrity import ManifestRecordStore
from moorage.oci.digests import Digest

_PAGE = 1000


class Payloads:
    """The digests of all manifests of a database, read once a check, and only if there are bytes to ask about.

    An import leaves the payloads where they are: a registry with link files needs them, if ever somebody goes back.
    """

    def __init__(self, manifests: ManifestRecordStore) -> None:
        self._manifests = manifests
        self._digests: References | None = None

    async def has(self, digest: Digest) -> bool:
        """Return whether a manifest has that digest, or had it when the first was asked for."""
        if self._digests is None:
            self._digests = await self._read()
        return self._digests.has(digest)

    def close(self) -> None:
        """Let go of what was read."""
        if self._digests is not None:
            self._digests.close()
            self._digests = None

    async def _read(self) -> References:
        found, after = References(), 0
        while rows := await self._manifests.page_of_digests(after=after, limit=_PAGE):
            for _, digest in rows:
                found.add(digest)
            after = rows[-1][0]
        return found
