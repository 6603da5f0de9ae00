"""One run of the doctor: every check in turn. What fails ends its own check, never the run."""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moorage.client.tls import CertificatesUnusable
from moorage.config import Config, Loaded
from moorage.doctor import databases, outside_world, stores
from moorage.doctor.apart import apart
from moorage.doctor.certificates import check_certificate
from moorage.doctor.clocks import Now, machine_time
from moorage.doctor.diagnosis import Report
from moorage.doctor.other_nodes import CHECK as NODES
from moorage.doctor.other_nodes import compare_nodes
from moorage.doctor.redis_servers import check_redises
from moorage.doctor.shared_secret import check_secret
from moorage.errors import ConfigurationError, MoorageError
from moorage.starting.check_start import configuration_to_check
from moorage.starting.configuration_file import find, read, read_or_defaults
from moorage.starting.foreseeing import said_by_a_start
from moorage.storage.base import StorageDriver
from moorage.telemetry import LogSettings, configure
from moorage.wiring.storage import local_folder, storage_driver

CHECK = "configuration"
_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorWish:
    """The options of a run."""

    url: str = ""
    """The address at which clients reach the registry; empty: as ``http.host`` says."""
    ca: str = ""
    """A file of certificates to trust there; empty: the system's."""
    node: str = ""
    """The name of this node among the others; empty: that of the machine."""


def run_doctor(
    path: Path | None, data: Path | None, wish: DoctorWish, report: Report, *, now: Now = machine_time
) -> None:
    """Make every check; *report* has what came of it."""
    loaded = _configuration(path, data, report)
    if loaded is not None:
        asyncio.run(_examine(loaded.config, wish, report, now))


def _configuration(path: Path | None, data: Path | None, report: Report) -> Loaded | None:
    try:
        configuration_to_check(path, data)  # It refuses a folder beside a file.
        loaded = read(path) if find(path) is not None else read_or_defaults(None, data=data)
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            report.fail(CHECK, str(mistake), "mend it; nothing else was looked at")
        return None
    report.hide(loaded.config)
    mistakes, concerns = said_by_a_start(loaded.config)
    configure(LogSettings(output="discard", fields={}))  # What is found stands in the report, and nowhere else.
    for mistake in mistakes:
        report.fail(CHECK, str(mistake), "mend it: no start would go on")
    for concern in (*loaded.warnings, *concerns):
        report.warn(CHECK, concern)
    if not mistakes:
        report.good(CHECK, f"{found} can be used" if (found := find(path)) else "the defaults can be used")
    return loaded


async def _examine(config: Config, wish: DoctorWish, report: Report, now: Now) -> None:
    check_secret(config, report)
    await _guarded("certificate", report, apart(partial(check_certificate, config, report, now)))
    async with AsyncExitStack() as stack:
        storage = await _opened(config, report, stack)
        is_usable = False
        if storage is not None:
            is_usable = bool(await _guarded(stores.CHECK, report, stores.check_storage(config, storage, report, now)))
        usable = storage if is_usable else None
        await _guarded(databases.CHECK, report, databases.check_database(config, usable, report, now))
        await _guarded("redis", report, check_redises(config, report, now))
        await _guarded(outside_world.CHECK, report, apart(partial(_outside, config, wish, report, now)))
        if usable is not None:
            await _guarded(NODES, report, compare_nodes(config, usable, report, node=wish.node, now=now()))


async def _opened(config: Config, report: Report, stack: AsyncExitStack) -> StorageDriver | None:
    folder = local_folder(config)
    if folder is not None and not folder.is_dir():  # To open it would make it.
        report.warn("folder", f"there is no {folder}", "the first start makes it; or mount the volume that has it")
        return None
    try:
        storage = storage_driver(config)
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            report.fail(stores.CHECK, str(mistake))
        return None
    stack.push_async_callback(storage.close)
    return storage


def _outside(config: Config, wish: DoctorWish, report: Report, now: Now) -> None:
    url = wish.url or config.http.host
    if not url:
        remedy = "give it by --url, and set http.host where a proxy is in front"
        report.skip(outside_world.CHECK, "nothing says where clients reach the registry", remedy)
        return
    try:
        place = outside_world.Outside(url, prefix=config.http.prefix or "/", ca=wish.ca)
    except CertificatesUnusable as exc:
        report.fail(outside_world.CHECK, str(exc))
        return
    takes_pushes = not config.storage.maintenance.readonly.enabled
    outside_world.check_outside(place, report, now, takes_pushes=takes_pushes)


async def _guarded(check: str, report: Report, work: Awaitable[object]) -> object:
    """Wait for a check, not for ever, and have the report say why it could not go on."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await work
    except TimeoutError:
        report.fail(check, f"no answer within {_DEADLINE_S:g} s", "see what holds it up: a network, a disk")
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            report.fail(check, str(mistake))
    except (MoorageError, OSError, ValueError) as exc:
        report.fail(check, str(exc) or type(exc).__name__)
    return None
