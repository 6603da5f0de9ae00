"""Object stores of vendors: each is imported where it is configured, as their packages are extras."""

from moorage.config import AzureSection, Config, GCSSection, S3Section
from moorage.config.section import Section
from moorage.errors import ConfigurationError, Mistake
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.remote.tally import StoreTally

CAPABILITIES = frozenset({Capability.SHARED, Capability.CONDITIONAL_PUT, Capability.PARTS, Capability.SIGNED_URLS})
"""The abilities that they have in common, unless one finds out that it cannot do it."""


def s3(section: S3Section, config: Config, *, share: float, tally: StoreTally) -> StorageDriver:
    """Return a bucket of S3; *share*: the part of the rate of requests that this process may use.

    Raises:
        ConfigurationError: the extra is not installed, or the bucket cannot be used.
    """
    name = config.storage.name
    try:
        from moorage.storage.s3.bucket import S3Bucket  # noqa: PLC0415 - only where it is configured
        from moorage.storage.s3.s3_driver import S3Driver  # noqa: PLC0415 - as above
    except ModuleNotFoundError as exc:
        raise ConfigurationError([_missing(name, "s3", exc)]) from exc
    return S3Driver(S3Bucket(section, key=f"storage.{name}", share=share, tally=tally), name=name)


def gcs(section: GCSSection, *, tally: StoreTally) -> StorageDriver:
    """Return a bucket of Google Cloud Storage.

    Raises:
        ConfigurationError: the extra is not installed, or the account cannot be used.
    """
    try:
        from moorage.storage.gcs.opening import open_bucket  # noqa: PLC0415 - only where it is configured
    except ModuleNotFoundError as exc:
        raise ConfigurationError([_missing("gcs", "gcs", exc)]) from exc
    return open_bucket(section, tally=tally)


def azure(section: AzureSection, config: Config, *, tally: StoreTally) -> StorageDriver:
    """Return a container of Azure.

    Raises:
        ConfigurationError: a package is not installed, or values of the section are refused.
    """
    from moorage.storage.azure.opening import open_azure  # noqa: PLC0415 - only where it is configured

    return open_azure(section, where=f"storage.{config.storage.name}", tally=tally)


def place_in_words(section: Section) -> str:
    """Say where the objects are, for people."""
    if isinstance(section, AzureSection):
        return f"the container {section.container}"
    return f"the bucket {section.bucket}" if isinstance(section, S3Section | GCSSection) else "an object store"


def _missing(name: str, extra: str, exc: ModuleNotFoundError) -> Mistake:
    message = f"it needs packages that are not installed ({exc.name}); type: pip install 'moorage[{extra}]'"
    return Mistake(f"storage.{name}", message)
