"""Digests that link files name, beside a database: another registry may have written here what the database never saw.

Its images are whole, with manifests and tags, for whoever reads link files; their bytes look like garbage to those who
read the database. So they are told apart before anything is done about them.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from moorage.integrity.named_links import named_links
from moorage.integrity.references import References
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.walk import repository_folders

_FRESH_S = 60.0
_SHARE = 10
"""For so many times as long as a reading took, or a minute, what it did not find counts as not there."""


class LinkedElsewhere:
    """The names of all links of blobs and manifests, on disk.

    They are read when somebody asks first. A check takes hours, and the other registry goes on: so a link that was not
    there is looked for anew where the reading is old, in a tenth of the time at most.
    """

    def __init__(self, storage: StorageDriver, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._references: References | None = None
        self._stands_until = 0.0
        self._read_at = datetime.max.replace(tzinfo=UTC)

    async def has(self, digest: Digest) -> bool:
        """Return whether a link file names it. Ask in the order of the digests, as of :class:`References`.

        Raises:
            StorageUnavailable: storage cannot be read.
        """
        if self._references is not None and self._references.has(digest):
            return True
        if self._references is None or self._clock() >= self._stands_until:
            began, read_at = self._clock(), datetime.now(UTC)
            references = await self._read()
            self.close()
            self._references, self._read_at = references, read_at
            self._stands_until = self._clock() + max(_FRESH_S, (self._clock() - began) * _SHARE)
        return self._references.has(digest)

    def may_lack(self, changed_at: datetime) -> bool:
        """Return whether bytes of that time may have got a link since links were read: a push may be under way."""
        return changed_at >= self._read_at

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
                    async for _, digest in named_links(self._storage, folder):
                        if digest is not None:
                            references.add(digest)
        except BaseException:
            references.close()
            raise
        return references
