"""Redirects: which blobs clients fetch from where they lie, and which go through this process."""

from collections.abc import Callable

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.urls import ObjectUrls


class Redirects:
    """Finds the URL of a blob for a client, unless its repository is an exception."""

    def __init__(self, urls: ObjectUrls, *, is_exception: Callable[[RepositoryName], bool]) -> None:
        """*is_exception* returns True for a repository whose blobs always go through this process."""
        self._urls = urls
        self._is_exception = is_exception

    async def url_for(
        self, name: RepositoryName, digest: Digest, *, address: str, egress: Egress = UNTOLD
    ) -> str | None:
        """Return the URL at which a client at *address* finds a blob; None: it goes through this process.

        *egress* is told in it.

        Raises:
            StorageUnavailable: it could not be signed now.
        """
        if self._is_exception(name):
            return None
        return await self._urls.url_for(paths.blob(digest), address=address, egress=egress)
