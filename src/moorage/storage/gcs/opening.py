"""A driver from the configuration."""

import os
from collections.abc import Mapping

from moorage import __version__
from moorage.config.sections.storage_gcs import GCSSection
from moorage.errors import ConfigurationError, Mistake
from moorage.storage.gcs.accounts import KEY, GoogleAccount, account_of_file, account_of_key, account_of_surroundings
from moorage.storage.gcs.answers import is_busy
from moorage.storage.gcs.gcs_driver import GCSDriver
from moorage.storage.gcs.json_api import BucketCalls
from moorage.storage.remote.exchange import Exchange, ExchangeSettings, StoreCall
from moorage.storage.remote.pools import Pools
from moorage.storage.remote.remote_driver import MOST_PART_BYTES
from moorage.storage.remote.tally import NoTally, StoreTally

ENDPOINT = "https://storage.googleapis.com"
EMULATOR = "STORAGE_EMULATOR_HOST"
"""Google's own variable for another service than theirs. Without a key in the configuration, nobody asks it."""


def open_bucket(section: GCSSection, *, endpoint: str = "", tally: StoreTally | None = None) -> GCSDriver:
    """Make the driver that the configuration asks for; nothing is asked of the bucket yet.

    *endpoint*: of the service; empty: what the environment says, or Google's.
    *tally*: counts requests; None: nobody does.

    Raises:
        ConfigurationError: the account cannot be used.
    """
    endpoint = endpoint or _endpoint()
    account = _account(section, is_google=endpoint == ENDPOINT)
    pools = Pools(endpoint, user_agent=section.useragent or f"moorage/{__version__}")
    exchange = Exchange(pools, _as_it_is, ExchangeSettings(is_passing=is_busy, tally=tally or NoTally()))
    calls = BucketCalls(
        exchange,
        account,
        endpoint=endpoint,
        bucket=section.bucket,
        at_once=section.maxconcurrency,
        logs=section.debug_log,
    )
    return GCSDriver(calls, account, root=section.rootdirectory, part_bytes=min(section.chunksize, MOST_PART_BYTES))


def _account(section: GCSSection, *, is_google: bool) -> GoogleAccount:
    if section.keyfile:
        return account_of_file(section.keyfile)
    if section.credentials:
        return account_of_key(section.credentials, key=f"{KEY}.credentials")
    return account_of_surroundings() if is_google else GoogleAccount(None)


def _endpoint() -> str:
    given = os.environ.get(EMULATOR, "").strip().rstrip("/")
    if not given:
        return ENDPOINT
    url = given if "://" in given else f"http://{given}"
    scheme, _, host = url.partition("://")
    if scheme not in {"http", "https"} or not host or set(host) & set("/?#@"):
        message = f"the variable {EMULATOR} names no service: http://host:port is needed"
        raise ConfigurationError([Mistake(KEY, message)])
    return url


async def _as_it_is(call: StoreCall) -> Mapping[str, str]:
    # The token is already in it: one that is refused is renewed once for the whole call, not for each attempt.
    return call.headers
