"""A driver made from its section of the configuration."""

import ssl

from moorage import __version__
from moorage.config.sections.storage_azure import SHARED_KEY, AzureSection, connection_values
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.azure.blob_keys import BlobKeys
from moorage.storage.azure.container import Access, AzureSigner, ContainerLine, ContainerPlace
from moorage.storage.azure.request_log import RequestLog
from moorage.storage.azure.shared_key import AccountKey
from moorage.storage.azure.tokens import tokens_of
from moorage.storage.remote.attempts import AttemptLimits
from moorage.storage.remote.exchange import SMALL_S, Exchange, ExchangeSettings
from moorage.storage.remote.pools import Pools, Trust
from moorage.storage.remote.tally import NoTally, StoreTally


def open_azure(section: AzureSection, *, where: str = "storage.azure", tally: StoreTally | None = None) -> AzureDriver:
    """Make the driver that *section* describes; *where* is its path in the configuration. Nothing is asked yet.

    Raises:
        ConfigurationError: a package is not installed, or its values are refused.
    """
    place = ContainerPlace.of(section)
    log = RequestLog(section.debug_log_events, tally) if section.debug_log else None
    signer = AzureSigner(_access(section, place, where=where), log)
    settings = ExchangeSettings(limits=_limits(section), is_passing=signer.is_passing, tally=log or tally or NoTally())
    pools = Pools(place.service_url, context=_trust(section, place, where=where), user_agent=f"moorage/{__version__}")
    try_timeout_s = section.retry_try_timeout.total_seconds() or SMALL_S
    line = ContainerLine(place, Exchange(pools, signer.headers, settings), signer, try_timeout_s=try_timeout_s)
    keys = BlobKeys(section.rootdirectory, is_legacy=section.is_legacy)
    return AzureDriver(line, keys, where=where)


def _access(section: AzureSection, place: ContainerPlace, *, where: str) -> Access:
    if section.identity["credentials_type"] != SHARED_KEY:
        return tokens_of(section, key=where)
    values = connection_values(section.connectionstring) if section.connectionstring else {}
    return AccountKey.parse(place.account, section.accountkey or values["AccountKey"])


def _limits(section: AzureSection) -> AttemptLimits:
    return AttemptLimits(
        retries=section.max_retries,
        first_pause_s=section.retry_delay.total_seconds(),
        longest_pause_s=section.max_retry_delay.total_seconds(),
    )


def _trust(section: AzureSection, place: ContainerPlace, *, where: str) -> ssl.SSLContext | None:
    if not place.service_url.startswith("https:"):
        return None
    return Trust(is_anyone=section.skipverify).context(key=f"{where}.skipverify")
