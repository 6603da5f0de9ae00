"""``storage``: one driver, and what is common to all."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from moorage.config.section import Count, Duration, Flag, Pattern, Secret, Section, Text, Whole, later, now

MIB = 1 << 20


class FilesystemDriver(Section):
    """``storage.filesystem``: files in a folder."""

    rootdirectory: Text = now("/var/lib/registry", "The folder.")
    maxthreads: Annotated[Whole, Field(ge=25)] = now(
        100, "Accepted for compatibility; the threads are not limited by it."
    )


class InmemoryDriver(Section):
    """``storage.inmemory``: nothing stays when the registry ends."""


class S3Driver(Section):
    """``storage.s3``, ``storage.s3aws`` and ``storage.s3_v2``."""

    is_implemented = False

    region: Text = later("", "The bucket's region.")
    bucket: Text = later("", "An existing bucket, without a path.")
    accesskey: Secret = later("", "Empty: the environment's credentials.")
    secretkey: Secret = later("", "Empty: the environment's credentials.")
    sessiontoken: Secret = later("", "A temporary credential's token.")
    regionendpoint: Text = later("", "Another service's URL, such as MinIO's.")
    forcepathstyle: Flag | None = later(None, "Distribution's name of `pathstyle`.")
    pathstyle: Flag | None = later(None, "Whether the bucket is in the path; true with `regionendpoint`.")
    accelerate: Flag = later(False, "Distribution: transfer acceleration.")
    usedualstack: Flag = later(False, "Distribution: IPv6 endpoints.")
    encrypt: Flag = later(False, "Whether the service encrypts objects.")
    keyid: Text = later("", "The KMS key.")
    secure: Flag = later(True, "Whether to speak HTTPS.")
    skipverify: Flag = later(False, "Whether to trust any certificate.")
    v4auth: Flag = later(True, "Signature version 4.")
    chunksize: Annotated[Whole, Field(ge=5 * MIB, le=2560 * MIB)] = later(10 * MIB, "Bytes of a part.")
    multipartcopychunksize: Annotated[Whole, Field(ge=5 * MIB)] = later(32 * MIB, "Bytes of a part when copying.")
    multipartcopymaxconcurrency: Annotated[Whole, Field(ge=1)] = later(100, "Parts copied at once.")
    multipartcopythresholdsize: Count = later(32 * MIB, "Objects up to so many bytes are copied in one go.")
    rootdirectory: Text = later("", "Prefix of all objects.")
    storageclass: Text = later("STANDARD", "Storage class of new objects.")
    objectacl: Text = later("private", "Access list of new objects.")
    objectownership: Flag = later(False, "Whether the bucket's owner owns objects, so that no access list is sent.")
    maxrequestspersecond: Count = later(350, "Limit of requests; 0: none.")
    maxretries: Count = later(5, "Tries after the first.")
    parallelwalk: Flag = later(False, "Whether to list in parallel.")
    loglevel: Text = later("logoff", "What the vendor's library logs.")
    useragent: Text = later("", "Sent to the service.")
    checksum_disabled: Flag = later(False, "s3_v2: whether to send no checksums.")
    checksum_algorithm: Text = later("CRC64NVME", "s3_v2: which checksum.")


class GCSDriver(Section):
    """``storage.gcs``."""

    is_implemented = False

    bucket: Text = later("", "The bucket.")
    keyfile: Text = later("", "JSON file of the service account's key.")
    credentials: dict[str, object] = later({}, "The same, inline.", repr=False)
    rootdirectory: Text = later("", "Prefix of all objects.")
    chunksize: Annotated[Whole, Field(multiple_of=256 * 1024)] = later(5242880, "Bytes of a part.")
    maxconcurrency: Annotated[Whole, Field(ge=25)] = later(50, "Requests at once.")
    parallelwalk: Flag = later(False, "Whether to list in parallel.")
    useragent: Text = later("", "Sent to the service.")
    debug_log: Flag = later(False, "Whether the vendor's library logs.")


class AzureDriver(Section):
    """``storage.azure`` and ``storage.azure_v2``."""

    is_implemented = False

    accountname: Text = later("", "The storage account.")
    accountkey: Secret = later("", "Its key.")
    container: Text = later("", "The container.")
    credentials_type: Text = later("shared_key", "shared_key, client_secret or default_credentials.")
    credentials: dict[str, object] = later({}, "Distribution: the kind of credentials and their values.", repr=False)
    tenant_id: Text = later("", "For client_secret.")
    client_id: Text = later("", "For client_secret.")
    secret: Secret = later("", "For client_secret.")
    realm: Text = later("core.windows.net", "The service's domain.")
    serviceurl: Text = later("", "The whole URL instead.")
    rootdirectory: Text = later("", "Prefix of all objects.")
    trimlegacyrootprefix: Flag | None = later(None, "Whether objects have no extra slash in front.")
    legacyrootprefix: Flag | None = later(None, "Whether objects have an extra slash in front.")
    max_retries: Count = later(3, "Tries after the first.")
    retry_try_timeout: Duration = later(timedelta(0), "Deadline of one try; 0: none.")
    retry_delay: Duration = later(timedelta(seconds=4), "Pause before the second try.")
    max_retry_delay: Duration = later(timedelta(seconds=60), "The longest pause.")
    api_pool_initial_interval: Duration = later(timedelta(milliseconds=100), "First pause when waiting for a copy.")
    api_pool_max_interval: Duration = later(timedelta(seconds=1), "The longest such pause.")
    api_pool_max_elapsed_time: Duration = later(timedelta(seconds=5), "How long to wait in all.")
    debug_log: Flag = later(False, "Whether the vendor's library logs.")
    debug_log_events: list[Text] = later([], "What of.")


Driver = FilesystemDriver | InmemoryDriver | S3Driver | GCSDriver | AzureDriver

DRIVERS: dict[str, type[Section]] = {
    "filesystem": FilesystemDriver,
    "inmemory": InmemoryDriver,
    "s3": S3Driver,
    "s3aws": S3Driver,
    "s3_v2": S3Driver,
    "gcs": GCSDriver,
    "azure": AzureDriver,
    "azure_v2": AzureDriver,
}
"""Driver keys below ``storage``."""


class UploadPurging(Section):
    """``storage.maintenance.uploadpurging``; if it is given, all four are needed."""

    enabled: Flag = now(True, "Whether upload sessions that nobody finished are removed.")
    age: Duration = now(timedelta(hours=168), "How old they are then.")
    interval: Annotated[Duration, Field(gt=timedelta(0))] = now(timedelta(hours=24), "How often to look.")
    dryrun: Flag = now(False, "Whether only to log what would be removed.")


class ReadOnly(Section):
    """``storage.maintenance.readonly``"""

    enabled: Flag = now(False, "Whether every write is refused with 405.")


class Maintenance(Section):
    """``storage.maintenance``"""

    uploadpurging: UploadPurging = now(UploadPurging, "Removing upload sessions that nobody finished.")
    readonly: ReadOnly = now(ReadOnly, "Pulls only.")


class Cache(Section):
    """``storage.cache``"""

    blobdescriptor: Literal["", "inmemory", "redis"] = now("", "Accepted: blobs are found without a cache.")
    layerinfo: Literal["", "inmemory", "redis"] = now("", "The old name of `blobdescriptor`.")
    blobdescriptorsize: Whole = now(10000, "Distribution: how many.")


class Delete(Section):
    """``storage.delete``"""

    enabled: Flag = now(False, "Whether blobs, manifests and tags can be deleted; else 405.")


class Redirect(Section):
    """``storage.redirect``"""

    disable: Flag = now(False, "Whether blobs always go through this process, never by signed URLs.")
    expirydelay: Duration = now(timedelta(minutes=20), "How long signed URLs are good.")
    exceptions: list[Pattern] = later([], "Repositories whose blobs go through this process.")


class TagStore(Section):
    """``storage.tag``"""

    concurrencylimit: Count = now(0, "Distribution: lookups at once; accepted, not needed here.")


class Storage(Section):
    """``storage``"""

    driver: Driver = now(FilesystemDriver, "The driver and its parameters, under the driver's name.")
    name: Text = now("filesystem", "Which driver key was given.")
    maintenance: Maintenance = now(Maintenance, "Maintenance.")
    cache: Cache = now(Cache, "Caching of blob descriptors.")
    delete: Delete = now(Delete, "Deleting.")
    redirect: Redirect = now(Redirect, "Signed URLs.")
    tag: TagStore = now(TagStore, "Tags.")
