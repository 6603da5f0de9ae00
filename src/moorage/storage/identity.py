"""Says which database a storage belongs to, so that neither half is served with another one.

Beside Distribution's tree, so that nobody else who serves the folder sees it. Why, and what to do after a deliberate
move: ``docs/adr/0035-storage-and-database-know-each-other.md``.
"""

from moorage.errors import PathUnknown
from moorage.storage import paths
from moorage.storage.base import StorageDriver


def content_of(identity: str) -> bytes:
    """Return what the file holds."""
    return f'{{"version":1,"database":"{identity}"}}'.encode()


async def read(storage: StorageDriver) -> bytes | None:
    """Return what the file says; None: it is not there.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    try:
        return await storage.get(paths.IDENTITY)
    except PathUnknown:
        return None


async def write(storage: StorageDriver, identity: str) -> None:
    """Note the database in storage; durable on return.

    Raises:
        StorageFull, StorageUnavailable: it could not be written.
    """
    await storage.put(paths.IDENTITY, content_of(identity))
