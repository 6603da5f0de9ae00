"""A bucket of Google Cloud Storage.

Objects lie at the keys at which Distribution and GitLab have them. What those have left of unfinished uploads, at the
place of the upload and of their own content type, is passed over: it is not the bytes that its name promises.
"""

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

from moorage.errors import BackendError, ConfigurationError, Mistake, PathUnknown, StorageUnavailable
from moorage.storage.base import Capability, FolderEntry, Stat, clock, too_late
from moorage.storage.egress import UNTOLD, Egress, in_query
from moorage.storage.gcs.accounts import KEY, GoogleAccount, SigningDenied
from moorage.storage.gcs.answers import ROLE, AccessDenied, BucketMissing
from moorage.storage.gcs.batches import BATCH, Deletions, count_of, pages_below
from moorage.storage.gcs.json_api import COMPOSED_AT_MOST, SESSION_TYPE, BucketCalls, generation_of
from moorage.storage.gcs.resumable import ResumableParts, cancel
from moorage.storage.gcs.rules import FIELDS, rules_of
from moorage.storage.gcs.signed_urls import LONGEST_ELSEWHERE_S, LONGEST_S, URLSigner
from moorage.storage.remote.bodies import BodyReader
from moorage.storage.remote.bucket_rules import BucketRules
from moorage.storage.remote.exchange import Exchange, Stream
from moorage.storage.remote.keys import KeySpace, is_marker, is_never_a_folder
from moorage.storage.remote.paging import KeyPage, names_in
from moorage.storage.remote.remote_driver import RemoteDriver, each
from moorage.storage.streams import ObjectContent, PartsWriter, Reader
from moorage.telemetry import get_log

_RIGHTS = {
    "storage.objects.get": "read objects",
    "storage.objects.list": "list objects",
    "storage.objects.create": "write objects",
    "storage.objects.delete": "remove or replace objects",
}
_READING = ("storage.objects.get", "storage.objects.list")
_UNSIGNED_S = 600.0
"""Seconds until an account that may not sign is asked again whether it may."""

_KEY_BYTES = 1024
_TOLD = "x-goog-custom-audit-gitlab-"
"""The beginning of what Google writes into its audit log, by GitLab's names. Source: GitLab features DRV-031."""
_RESERVED = ".well-known/acme-challenge/"

_log = get_log("storage")


class GCSDriver(RemoteDriver):
    """A bucket.

    Args:
        calls: of the bucket.
        account: asks and signs.
        root: prefix of all objects.
        part_bytes: of a part of a resumable upload.
    """

    name = "gcs"
    capabilities = RemoteDriver.capabilities | {Capability.CONDITIONAL_DELETE}

    chunk_min_bytes = 5 << 20

    def __init__(
        self,
        calls: BucketCalls,
        account: GoogleAccount,
        *,
        root: str = "",
        part_bytes: int = 16 << 20,
    ) -> None:
        self.part_bytes = part_bytes
        self._calls = calls
        self._account = account
        self._keys = KeySpace(root, kind="object of Google Cloud Storage", can_be=_can_be)
        self._deletions = Deletions(calls)
        self._signer = URLSigner(account.sign, longest_s=LONGEST_S if account.has_key else LONGEST_ELSEWHERE_S)
        self._unsigned_until = float("-inf")
        if account.is_nobody:
            self.capabilities = self.capabilities - {Capability.SIGNED_URLS}

    @property
    def exchange(self) -> Exchange:
        """See the interface."""
        return self._calls.exchange

    async def examine(self, *, can_write: bool = True) -> None:
        """See the interface."""
        try:
            found = await self._calls.permissions(list(_RIGHTS))
            if found is None:  # An emulator, or a service that hides rights: at least the bucket must be there.
                await self._calls.page(self._keys.root, limit=1)
                return
        except BucketMissing as exc:
            message = f"{exc}; make it, or give the name of one that is there"
            raise ConfigurationError([Mistake(f"{KEY}.bucket", message)]) from exc
        except AccessDenied as exc:
            raise ConfigurationError([Mistake(KEY, str(exc))]) from exc
        needed = _RIGHTS if can_write else _READING
        missing = [right for right in needed if right not in found]
        if missing:
            who = self._account.email or "the account"
            message = (
                f"{who} may not {', '.join(_RIGHTS[right] for right in missing)} in the bucket {self._calls.bucket} "
                f"({', '.join(missing)}): grant it {ROLE} on the bucket"
            )
            raise ConfigurationError([Mistake(f"{KEY}.bucket", message)])

    async def rules(self) -> BucketRules:
        """See the interface. The rights on objects do not include to ask: then nothing is told."""
        return rules_of(await self._calls.about(FIELDS), prefix=self._keys.prefix("/docker/registry"))

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """See the interface."""
        facts = await self._calls.facts(self._keys.key(path))
        if facts is not None and not facts.is_session:
            return Stat(facts.size_bytes, facts.modified_at, version=facts.generation)
        if not folder or is_never_a_folder(path):
            raise PathUnknown(path)
        page = await self._calls.page(f"{self._keys.key(path)}/", limit=1)
        if not page.objects:
            raise PathUnknown(path)
        return Stat(0, page.objects[0].modified_at, is_folder=True)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the interface."""
        found = await self._calls.content(self._keys.key(path), limit_bytes=limit_bytes)
        if found is None:
            raise PathUnknown(path)
        if len(found[0]) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        return found[0]

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """See the interface. What is acknowledged is durable."""
        del durable
        await self._calls.put(self._keys.new_key(path), content)

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """See the interface."""
        return await self._calls.put_if_absent(self._keys.new_key(path), content)

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """See the interface."""
        key, first = self._keys.key(path), None
        if is_whole:
            first = await self._calls.stream(key)
            if first is None:
                raise PathUnknown(path)
            if first.headers.get("Content-Type") == SESSION_TYPE:
                first.close()
                raise PathUnknown(path)
            generation, length = generation_of(first, key), first.headers.get("Content-Length", "")
            if not length.isdecimal():
                first.close()
                msg = f"{path}: the service does not say how many bytes it has"
                raise StorageUnavailable(msg)
            size_bytes = int(length)
        else:
            stat = await self.stat(path, folder=False)
            generation, size_bytes = stat.version, stat.size_bytes

        async def fetch(start: int, end: int) -> Stream:
            found = await self._calls.stream(key, start=start, end=end, generation=generation)
            if found is None:
                msg = f"{path}: it was replaced or removed while it was being read"
                raise StorageUnavailable(msg)
            return found

        return BodyReader(path, first, size_bytes=size_bytes, fetch=fetch, attempts=self._calls.exchange.attempts)

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        try:
            return await names_in(self._folded, f"{self._keys.key(path)}/", after=after, limit=limit)
        except PathUnknown:
            raise PathUnknown(path) from None

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        """See the interface."""
        token, prefix = "", f"{self._keys.key(path)}/"
        while True:
            page = await self._calls.page(prefix, token=token)
            yield [
                (self._keys.path(facts.key), Stat(facts.size_bytes, facts.modified_at, version=facts.generation))
                for facts in page.objects
                if not facts.is_session and not is_marker(facts.key)
            ]
            token = page.token
            if not token:
                return

    async def delete(self, path: str, *, durable: bool = True) -> None:
        """See the interface. Of a folder, the links that say what a tag is go first."""
        del durable
        if await self._calls.delete(self._keys.key(path)):
            return
        if not await self._deletions.below(f"{self._keys.key(path)}/"):
            raise PathUnknown(path)

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See the interface. More than 32 are joined in a tree, with what is between beside the first of them."""
        del sizes  # The service asks for none.
        key = self._keys.new_key(target)
        names = [self._keys.key(source) for source in sources]
        if len(names) == 1:
            if not await self._calls.rewrite(names[0], key):
                raise PathUnknown(sources[0])
            return
        try:
            await self._join(names, key)
        except PathUnknown as exc:
            raise PathUnknown(self._keys.path(exc.path)) from None

    async def _join(self, names: Sequence[str], target: str) -> None:
        between: list[str] = []
        folder = names[0].rpartition("/")[0]
        try:
            while len(names) > COMPOSED_AT_MOST:
                groups = [names[at : at + COMPOSED_AT_MOST] for at in range(0, len(names), COMPOSED_AT_MOST)]
                made = [f"{folder}/joined-{secrets.token_hex(8)}" for _ in groups]
                between += made
                await each(list(zip(groups, made, strict=True)), lambda pair: self._calls.compose(*pair))
                names = made
            await self._calls.compose(names, target)
        finally:
            if between:
                await self._deletions.each(between)

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface."""
        del rest
        failures: dict[str, BackendError] = {}
        for at in range(0, len(paths), BATCH):
            some = paths[at : at + BATCH]
            if clock() >= until:
                failures |= {path: too_late(path) for path in paths[at:]}
                break
            outcomes = await self._deletions.each([self._keys.key(path) for path in some], until=until)
            failures |= {path: why for path, why in zip(some, outcomes, strict=True) if isinstance(why, BackendError)}
        return failures

    async def delete_each(self, paths: Sequence[str]) -> int:
        """See the interface."""
        return count_of(await self._deletions.each([self._keys.key(path) for path in paths]))

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        """See the interface."""
        return bool(seen.version) and await self._calls.delete(self._keys.key(path), generation=seen.version)

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        """See the interface. What was written after we looked is of another generation, and stays."""
        key = self._keys.key(where)
        pages = [page async for page in pages_below(self._calls, f"{self._keys.key(path)}/")]
        there = [facts for page in pages for facts in page if facts.key != key]
        found = await self._calls.content(key, limit_bytes=4 << 20)
        if found is None or found[0] != content:
            return False
        if not await self._calls.delete(key, generation=found[1]):
            return False
        count_of(await self._deletions.each([facts.key for facts in there], [facts.generation for facts in there]))
        return True

    async def begin_parts(self, path: str) -> PartsWriter:
        """See the interface."""
        key = self._keys.new_key(path)
        return ResumableParts(self._calls, key, await self._calls.begin_session(key))

    async def abort_parts(self, path: str, note: str) -> None:
        """See the interface."""
        await cancel(self._calls, self._keys.key(path), note)

    async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
        """See the interface. None, too, while the account may not sign; that is logged."""
        if Capability.SIGNED_URLS not in self.capabilities or time.monotonic() < self._unsigned_until:
            return None
        await self.exchange.be_sure()
        resource = f"{self._calls.endpoint}/{self._calls.bucket}/{quote(self._keys.key(path), safe='/~')}"
        try:
            email = await self._account.signing_email()
            return await self._signer.url_for(
                resource, email=email, expires_s=expires_s, told=in_query(egress.pairs(_TOLD))
            )
        except SigningDenied as exc:
            self._unsigned_until = time.monotonic() + _UNSIGNED_S
            _log.warning("storage gives no signed URLs, so content goes through this process", reason=str(exc))
            return None

    async def close(self) -> None:
        """See the interface."""
        await self._account.close()
        await self.exchange.close()

    async def _folded(self, prefix: str, *, after: str = "", token: str = "", limit: int = 1000) -> KeyPage:
        page = await self._calls.page(prefix, start=after, folded=True, token=token, limit=min(limit, 1000))
        sizes = {
            facts.key: facts.size_bytes for facts in page.objects if not facts.is_session and not is_marker(facts.key)
        }
        return KeyPage(sorted([*sizes, *page.prefixes]), page.token, sizes)


def _can_be(key: str) -> bool:
    """Return whether Google takes it as a name. Source: "Object name requirements"."""
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        return False
    return size_bytes <= _KEY_BYTES and "\n" not in key and "\r" not in key and not key.startswith(_RESERVED)
