"""Storage as a registry uses it: of an object store the rights, its clock, and URLs that clients are sent to."""

import secrets
from functools import partial

import aiohttp

from moorage.config import Config
from moorage.doctor.apart import apart
from moorage.doctor.bucket_rules import check_bucket_rules
from moorage.doctor.clocks import Now, compare_clocks
from moorage.doctor.diagnosis import Report
from moorage.doctor.file_system import check_folder
from moorage.errors import BackendError, PathUnknown
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.lease_files import storage_time
from moorage.storage.remote.remote_driver import PROBES, RemoteDriver
from moorage.wiring.storage import local_folder, place_in_words

CHECK = "storage"
_CONTENT = b"probe"
_OK = 200


async def check_storage(config: Config, storage: StorageDriver, report: Report, now: Now) -> bool:
    """Look at storage; return whether other checks may use it.

    Raises:
        ConfigurationError, BackendError: it cannot be used.
    """
    is_read_only = config.storage.maintenance.readonly.enabled
    folder = local_folder(config)
    if Capability.SHARED not in storage.capabilities:
        report.warn(CHECK, "images are in memory: gone when the registry ends, and seen by one node only")
        return False
    if folder is not None and not await apart(partial(check_folder, folder, report, is_read_only=is_read_only)):
        return False
    if isinstance(storage, RemoteDriver):
        await _check_rights(config, storage, report, is_read_only=is_read_only)
        await check_bucket_rules(config, storage, report)
    if is_read_only:
        report.skip("clock: storage", "the registry is read-only, so nothing is written to ask storage for its time")
        return True
    asked = now()
    theirs = await storage_time(storage)
    compare_clocks(report, "storage", theirs, asked=asked, answered=now())
    if isinstance(storage, RemoteDriver):
        await _check_redirect(config, storage, report)
    return True


async def _check_rights(config: Config, storage: RemoteDriver, report: Report, *, is_read_only: bool) -> None:
    await storage.examine(can_write=not is_read_only)
    place = place_in_words(config)
    if is_read_only:
        report.good(CHECK, f"{place} can be listed")
        return
    names = [f"{PROBES}/{secrets.token_hex(8)}" for _ in range(3)]
    try:
        await storage.put(names[0], _CONTENT)
        await storage.copy([names[0]], names[1])
        parts = await storage.begin_parts(names[2])
        await parts.add([_CONTENT])
        await parts.complete()
        found = [await storage.get(name) for name in names]
    finally:
        for name in names:
            await _remove(storage, name)
    if found != [_CONTENT] * len(names):
        report.fail(CHECK, f"{place} gives other bytes than it was given")
        return
    report.good(CHECK, f"{place}: list, write, read, copy, write in parts and delete are allowed")
    for lacking in await storage.shortcomings():
        report.warn("storage: conditions", lacking, "use a service that knows conditional requests")
    if not await storage.shortcomings():
        report.good("storage: conditions", "of two that write the same object, one wins")


async def _remove(storage: StorageDriver, path: str) -> None:
    try:
        await storage.delete(path)
    except PathUnknown:
        return


async def _check_redirect(config: Config, storage: RemoteDriver, report: Report) -> None:
    """Fetch an object by the URL that a client would be sent to; clients may stand elsewhere than this machine."""
    check = "storage: redirect"
    if config.storage.redirect.disable:
        report.skip(check, "off: this registry sends every byte itself")
        return
    path = f"{PROBES}/{secrets.token_hex(8)}"
    await storage.put(path, _CONTENT)
    try:
        url = await storage.url_for(path, expires_s=60)
        if url is None:
            report.skip(check, "no URLs can be signed with these credentials: this registry sends every byte itself")
            return
        status, body = await _fetched(url)
    except (aiohttp.ClientError, TimeoutError, BackendError) as exc:
        said = f"the URL that clients are sent to cannot be fetched from here: {type(exc).__name__}"
        report.fail(check, said, "let clients reach the store, or set storage.redirect.disable: true")
        return
    finally:
        await _remove(storage, path)
    if status != _OK or body != _CONTENT:
        remedy = "see that the store takes signed URLs at this address, or set storage.redirect.disable: true"
        report.fail(check, f"the URL that clients are sent to is answered with {status}", remedy)
        return
    report.good(check, "the URL that clients are sent to works from here")


async def _fetched(url: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), trust_env=True) as session,
        session.get(url) as answer,
    ):
        return answer.status, await answer.content.read(len(_CONTENT) + 1)
