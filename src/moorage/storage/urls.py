"""The port for URLs under which clients fetch objects themselves, and those that the storage driver signs."""

from abc import ABC, abstractmethod

from moorage.storage.base import StorageDriver
from moorage.storage.egress import UNTOLD, Egress


class ObjectUrls(ABC):
    """URLs of objects: where a client that may have one is sent, so that its bytes do not pass through this process.

    A URL works for a time, for anyone who has it: it is never logged.
    """

    @abstractmethod
    async def url_for(self, path: str, *, address: str, egress: Egress = UNTOLD) -> str | None:
        """Return a URL for a GET of the object at *path*, which is there; None: it has to go through this process.

        *address*: of the client; empty if that is not known. *egress*: is told in the URL, where that is signed.

        Raises:
            StorageUnavailable: it could not be signed now.
        """


class DriverUrls(ObjectUrls):
    """URLs that the storage signs itself."""

    def __init__(self, storage: StorageDriver, *, expires_s: int) -> None:
        self._storage = storage
        self._expires_s = expires_s

    async def url_for(self, path: str, *, address: str, egress: Egress = UNTOLD) -> str | None:
        """See the interface."""
        del address
        return await self._storage.url_for(path, expires_s=self._expires_s, egress=egress)
