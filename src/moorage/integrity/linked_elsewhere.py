"""Digests that link files name, beside a database: another registry may have written here what the database never saw.

Its images are whole, with manifests and tags, for whoever reads link files; their bytes look like garbage to those who
read the database. So they are told apart before anything is done about them.
"""

from moorage.integrity.references import References
from moorage.oci.digests import Digest, digest_or_none
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.walk import entries_of, repository_folders


class LinkedElsewhere:
    """The names of all links of blobs and manifests, on disk. They are read once, when somebody asks first."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage
        self._references: References | None = None

    async def has(self, digest: Digest) -> bool:
        """Return whether a link file names it. Ask in the order of the digests, as of :class:`References`.

        Raises:
            StorageUnavailable: storage cannot be read.
        """
        if self._references is None:
            self._references = await self._read()
        return self._references.has(digest)

    def close(self) -> None:
        """Forget them; whoever asks again has them read again."""
        if self._references is not None:
            self._references.close()
            self._references = None

    async def _read(self) -> References:
        references = References()
        try:
            async for name in repository_folders(self._storage):
                for folder in (paths.layers(name), paths.revisions(name)):
                    async for algorithm in entries_of(self._storage, folder):
                        async for entry in entries_of(self._storage, f"{folder}/{algorithm.name}"):
                            digest = digest_or_none(f"{algorithm.name}:{entry.name}")
                            if digest is not None:
                                references.add(digest)
        except BaseException:
            references.close()
            raise
        return references
