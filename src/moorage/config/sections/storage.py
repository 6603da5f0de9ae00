"""``storage``: one driver, and what is common to all."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from moorage.config.section import Count, DriverWhole, Flag, Pattern, Section, Text, UnitDuration, Whole, now, unused
from moorage.config.sections.storage_azure import AzureSection
from moorage.config.sections.storage_gcs import GCSSection
from moorage.config.sections.storage_s3 import S3Section


def _at_least_25(value: int) -> int:
    # Source: ``GetLimitFromParameter`` in both registries: too little is raised, not refused.
    return max(value, 25)


class FilesystemSection(Section):
    """``storage.filesystem``: files in a folder."""

    rootdirectory: Text = now("/var/lib/registry", "The folder.")
    maxthreads: Annotated[DriverWhole, AfterValidator(_at_least_25)] = unused(
        100, "Calls of the file system at once; they are made in the order in which they come, in few threads."
    )


class InmemoryDriver(Section):
    """``storage.inmemory``: nothing stays when the registry ends."""


Driver = FilesystemSection | InmemoryDriver | S3Section | GCSSection | AzureSection

DRIVERS: dict[str, type[Section]] = {
    "filesystem": FilesystemSection,
    "inmemory": InmemoryDriver,
    "s3": S3Section,
    "s3aws": S3Section,
    "s3_v2": S3Section,
    "gcs": GCSSection,
    "azure": AzureSection,
    "azure_v2": AzureSection,
}
"""Driver keys below ``storage``."""


class UploadPurging(Section):
    """``storage.maintenance.uploadpurging``; if it is given and enabled, all the others are needed."""

    enabled: Flag = now(True, "True: upload sessions that nobody finished are removed.")
    age: UnitDuration = now(timedelta(hours=168), "How old they are then.")
    interval: Annotated[UnitDuration, Field(gt=timedelta(0))] = now(timedelta(hours=24), "How often to look.")
    dryrun: Flag = now(False, "Only log what would be removed.")


class ReadOnly(Section):
    """``storage.maintenance.readonly``"""

    enabled: Flag = now(False, "True: every write is refused with 405.")


class Maintenance(Section):
    """``storage.maintenance``"""

    uploadpurging: UploadPurging = now(UploadPurging, "Removing upload sessions that nobody finished.")
    readonly: ReadOnly = now(ReadOnly, "Pulls only.")


def _cache_name(value: object) -> object:
    # Distribution takes any other word for no cache; this is the one that people write.
    return "" if isinstance(value, str) and value.lower() == "none" else value


CacheName = Annotated[Literal["", "inmemory", "redis"], BeforeValidator(_cache_name)]


class Cache(Section):
    """``storage.cache``"""

    blobdescriptor: CacheName = now(
        "",
        "With images in link files: which blobs and manifests are in which repository is remembered for 60 s. "
        "`inmemory`: by each worker; other nodes are not told of what is deleted. `redis`: in the Redis of the section "
        "`redis`, or else of `redis.cache`, by all nodes, and by Distribution beside them.",
    )
    layerinfo: CacheName = now("", "The old name of `blobdescriptor`.")
    blobdescriptorsize: Whole = now(
        10000, "With `inmemory`: how many of each; 0 or less: a million. In Redis its own `maxmemory` counts."
    )

    @property
    def chosen(self) -> CacheName:
        """The cache that was asked for, under either name."""
        return self.blobdescriptor or self.layerinfo


class Delete(Section):
    """``storage.delete``"""

    enabled: Flag = now(False, "True: blobs, manifests and tags can be deleted; else 405.")


class Redirect(Section):
    """``storage.redirect``"""

    disable: Flag = now(False, "True: blobs always go through this process, never by signed URLs.")
    expirydelay: UnitDuration = now(timedelta(minutes=20), "How long signed URLs are good.")
    exceptions: list[Pattern] = now([], "Repositories whose blobs go through this process: RE2, anywhere in the name.")


class TagStore(Section):
    """``storage.tag``"""

    concurrencylimit: Count = unused(0, "Distribution: lookups at once; there are always as many as help.")


class Storage(Section):
    """``storage``"""

    driver: Driver = now(FilesystemSection, "The driver and its parameters, under the driver's name.")
    name: Text = now("filesystem", "Which driver key was given.")
    maintenance: Maintenance = now(Maintenance, "Maintenance.")
    cache: Cache = now(Cache, "Caching of blob descriptors.")
    delete: Delete = now(Delete, "Deleting.")
    redirect: Redirect = now(Redirect, "Signed URLs.")
    tag: TagStore = now(TagStore, "Tags.")
