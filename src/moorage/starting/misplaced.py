"""Roots inside the tree of a registry: it would look empty, and pushes would go beside what there is."""

from moorage.errors import ConfigurationError, Mistake
from moorage.storage import paths
from moorage.storage.base import StorageDriver


async def refuse_misplaced(storage: StorageDriver, kind: str) -> None:
    """See that the root of a storage without blobs is not a folder of another one's tree.

    *kind*: of the driver, as in the configuration.

    Raises:
        ConfigurationError: it is.
        StorageUnavailable: that cannot be found out.
    """
    if await storage.exists(paths.BLOBS):
        return
    for missing, inside in (("docker", "/registry/v2"), ("docker/registry", "/v2")):
        if await storage.exists(f"{inside}/blobs") or await storage.exists(f"{inside}/repositories"):
            message = (
                f"it ends inside the tree of a registry: {inside[1:]} is in it, which has to be {paths.ROOT[1:]}; "
                f"leave out its last part, {missing}"
            )
            raise ConfigurationError([Mistake(f"storage.{kind}.rootdirectory", message)])
