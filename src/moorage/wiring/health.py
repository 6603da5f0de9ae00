"""Health checks as the configuration has them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from moorage.config import Config
from moorage.health.checks import INTERVAL, TIMEOUT, AddressCheck, FileCheck, HealthCheck, URLCheck
from moorage.health.questions import Ask
from moorage.health.watch import HealthWatch
from moorage.http.health_report import DATABASE_CHECK
from moorage.sql.base import Database
from moorage.storage import identity
from moorage.storage.base import StorageDriver

_HEALTHY = 200


def health_watch(
    config: Config,
    storage: StorageDriver,
    database: Database | None,
    redises: Mapping[str, Ask],
    *,
    observe: Callable[[str, bool], None],
) -> HealthWatch:
    """Return the checks that *config* asks for; without a database its check is left out, as GitLab does.

    *redises*: asks each Redis whether it answers, by its section.
    """
    checks = [*_own(config, storage, database), *_around(config)]
    asked = config.health.redis
    if asked.enabled:
        for name, ask in redises.items():
            checks.append(_check(name, ask, asked.interval, asked.timeout, threshold=asked.threshold))
    return HealthWatch(checks, observe=observe)


def storage_question(storage: StorageDriver, *, is_read_only: bool) -> Ask:
    """Return what finds out whether *storage* can be used, of a read-only registry whether it can be read."""

    async def read() -> None:
        await identity.read(storage)

    return read if is_read_only else storage.probe


def _own(config: Config, storage: StorageDriver, database: Database | None) -> Iterator[HealthCheck]:
    asked, told = config.health.storagedriver, config.health.database
    if asked.enabled:
        name = f"storagedriver_{storage.name}"
        ask = storage_question(storage, is_read_only=config.storage.maintenance.readonly.enabled)
        yield _check(name, ask, asked.interval, asked.timeout, threshold=asked.threshold)
    if told.enabled and database is not None:
        yield _check(DATABASE_CHECK, database.ping, told.interval, told.timeout, threshold=told.threshold)


def _around(config: Config) -> Iterator[HealthCheck]:
    for file in config.health.file:
        yield _check(file.file, FileCheck(file.file), file.interval, file.timeout, threshold=file.threshold)
    for url in config.health.http:
        ask = URLCheck(url.uri, status=url.statuscode or _HEALTHY, headers=url.headers)
        yield _check(url.uri, ask, url.interval, url.timeout, threshold=url.threshold)
    for address in config.health.tcp:
        ask_address = AddressCheck(address.addr)
        yield _check(address.addr, ask_address, address.interval, address.timeout, threshold=address.threshold)


def _check(name: str, ask: Ask, interval: timedelta, timeout: timedelta, *, threshold: int) -> HealthCheck:
    return HealthCheck(name, ask, interval or INTERVAL, timeout or TIMEOUT, threshold)
