"""Reading links and manifests for an offline collection: one that cannot be read must not end the whole run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from moorage.errors import ManifestInvalid, PathUnknown, StorageUnavailable
from moorage.gc.offline.offline_run import OfflineRun
from moorage.oci.digests import Digest
from moorage.oci.mentions import Mentions, mentions
from moorage.storage import paths
from moorage.storage.walk import lies_at

_PAYLOAD_LIMIT_BYTES = 64 << 20
"""More than any registry takes."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that is there and does not say what it should."""

    reason: str
    is_whole: bool = False
    """True if the bytes are those that the digest says, and are no manifest."""
    is_unseen: bool = False
    """True if storage did not give the bytes: they may be as they should be."""


Content: TypeAlias = _T | Unreadable | None
"""The result of reading an object; None: it is not there."""


async def links_at(run: OfflineRun, links: Sequence[str]) -> Sequence[Content[bytes]]:
    """The contents of link files."""
    return await _read_each(run, links, lambda _, content: content)


async def payloads_of(run: OfflineRun, digests: Sequence[Digest]) -> Sequence[Content[Mentions]]:
    """Return what each manifest names."""
    return await _read_each(
        run, [paths.blob(digest) for digest in digests], lambda n, content: _read(digests[n], content)
    )


async def _read_each(
    run: OfflineRun, wanted: Sequence[str], use: Callable[[int, bytes], _T | Unreadable]
) -> Sequence[Content[_T]]:
    found: list[Content[_T]]
    try:
        found = list(await run.storage.get_each(wanted, use, limit_bytes=_PAYLOAD_LIMIT_BYTES))
    except StorageUnavailable:
        found = [await _read_one(run, path, partial(use, number)) for number, path in enumerate(wanted)]
    gone = [number for number, content in enumerate(found) if content is None]
    stats = await run.storage.stat_each([wanted[number] for number in gone], folder=True)
    for number, stat in zip(gone, stats, strict=True):
        if stat is not None:
            came = Unreadable("came while it was looked for", is_unseen=True)
            found[number] = Unreadable("is a folder") if stat.is_folder else came
        elif await lies_at(run.storage, wanted[number]):
            found[number] = Unreadable("is neither a file nor a link to one", is_unseen=True)
    return found


async def _read_one(run: OfflineRun, path: str, use: Callable[[bytes], _T | Unreadable]) -> Content[_T]:
    try:
        return use(await run.storage.get(path, limit_bytes=_PAYLOAD_LIMIT_BYTES))
    except PathUnknown:
        return None
    except StorageUnavailable as exc:
        return Unreadable(str(exc), is_unseen=True)


def _read(digest: Digest, content: bytes) -> Mentions | Unreadable:
    if Digest.of(content, digest.algorithm) != digest:
        return Unreadable("its bytes have another digest")
    try:
        return mentions(content)
    except ManifestInvalid as exc:
        return Unreadable(exc.message, is_whole=True)
