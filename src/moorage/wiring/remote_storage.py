"""Object stores of vendors: each is imported where it is configured, as their packages are extras."""

from moorage.config import GCSSection
from moorage.errors import ConfigurationError, Mistake
from moorage.storage.base import Capability, StorageDriver

CAPABILITIES = frozenset({Capability.SHARED, Capability.CONDITIONAL_PUT, Capability.PARTS, Capability.SIGNED_URLS})
"""What they have in common, unless one finds out that it cannot do it."""


def gcs(section: GCSSection) -> StorageDriver:
    """Return a bucket of Google Cloud Storage.

    Raises:
        ConfigurationError: the extra is not installed, or the account cannot be used.
    """
    try:
        from moorage.storage.gcs.opening import open_bucket  # noqa: PLC0415 - only where it is configured
    except ImportError as exc:
        raise ConfigurationError([_missing("gcs", exc)]) from exc
    return open_bucket(section)


def _missing(extra: str, exc: ImportError) -> Mistake:
    message = f"it needs the extra {extra} ({exc}); type: pip install 'moorage[{extra}]'"
    return Mistake(f"storage.{extra}", message)
