"""The calls of Google's JSON API that the driver needs, one method each.

Source: the reference of the Cloud Storage JSON API, v1. Keys come and go as they are; the driver knows of paths.
"""

import asyncio
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.gcs.accounts import GoogleAccount
from moorage.storage.gcs.answers import expect, is_missing, json_of, unexpected
from moorage.storage.remote.exchange import Exchange, StoreAnswer, StoreCall, Stream
from moorage.storage.streams import ObjectContent, size_of
from moorage.telemetry import get_log
from moorage.work.whole_changes import to_its_end

SESSION_TYPE = "application/x-docker-upload-session"
"""The content type of what Distribution and GitLab keep of an unfinished upload, at the place of the upload."""
OCTETS = "application/octet-stream"
COMPOSED_AT_MOST = 32
OK = HTTPStatus.OK
_SMALL_BYTES = 1 << 20
_FIELDS = "name,size,updated,generation,contentType,md5Hash,metadata"
_WRITER = "moorage-writer"

_log = get_log("storage")


@dataclass(frozen=True, slots=True)
class GCSObjectFacts:
    """The facts about an object that are known without its bytes."""

    key: str
    size_bytes: int
    modified_at: datetime
    generation: str
    is_session: bool
    writer: str = ""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of a list: objects, and prefixes that stand for all below them."""

    objects: Sequence[GCSObjectFacts]
    prefixes: Sequence[str]
    token: str


class BucketCalls:
    """Calls about one bucket.

    Args:
        exchange: sends them.
        account: whose token they carry.
        endpoint: of the service, without a slash at its end.
        bucket: its name.
        at_once: the most requests at a time.
        logs: True if each is logged.
    """

    def __init__(
        self,
        exchange: Exchange,
        account: GoogleAccount,
        *,
        endpoint: str,
        bucket: str,
        at_once: int,
        logs: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.exchange = exchange
        self._account = account
        self._folder = f"{endpoint}/storage/v1/b/{quote(bucket, safe='')}"
        self._uploads = f"{endpoint}/upload/storage/v1/b/{quote(bucket, safe='')}/o"
        self._turns = asyncio.Semaphore(at_once)
        self._logs = logs

    async def facts(self, key: str) -> GCSObjectFacts | None:
        """Ask what is known of an object; None: there is none."""
        answer = await self.send(
            StoreCall(kind="objects.get", method="GET", url=f"{self._url(key)}?fields={_FIELDS}"), key
        )
        return None if is_missing(answer, self.bucket) else _facts(json_of(answer, "objects.get", key, OK))

    async def stream(self, key: str, *, start: int = 0, end: int | None = None, generation: str = "") -> Stream | None:
        """Ask for bytes of an object, from *start* to before *end*; None: there is none, or of no such generation."""
        query = f"&ifGenerationMatch={generation}" if generation else ""
        headers = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}
        url = f"{self._url(key)}?alt=media{query}"
        call = StoreCall(kind="objects.get", method="GET", url=url, headers=headers, is_bulk=True, total_s=None)
        async with self._turns:
            answer = await self._with_token(self.exchange.stream, call)
        if isinstance(answer, Stream):
            if start and answer.status != HTTPStatus.PARTIAL_CONTENT:
                answer.close()
                msg = f"{key}: the bytes from {start} on were asked for, and the answer has all of them"
                raise StorageUnavailable(msg)
            try:
                generation_of(answer, key)
            except StorageUnavailable:
                answer.close()
                raise
            return answer
        self._log_it(call, key, answer)
        if answer.status == HTTPStatus.PRECONDITION_FAILED or is_missing(answer, self.bucket):
            return None
        raise unexpected(answer, "objects.get", key)

    async def content(self, key: str, *, limit_bytes: int) -> tuple[bytes, str] | None:
        """Ask for a small object whole; its bytes and generation. None: there is none."""
        url = f"{self._url(key)}?alt=media"
        # One byte more than allowed is enough to know that there is more.
        headers = {"Range": f"bytes=0-{limit_bytes}"}
        call = StoreCall(
            kind="objects.get", method="GET", url=url, headers=headers, limit_bytes=limit_bytes + (64 << 10)
        )
        answer = await self.send(call, key)
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # No byte of an empty object can be asked for.
            found = await self.facts(key)
            return None if found is None or found.is_session else (b"", found.generation)
        if is_missing(answer, self.bucket) or answer.headers.get("Content-Type") == SESSION_TYPE:
            return None
        expect(answer, "objects.get", key, OK, HTTPStatus.PARTIAL_CONTENT)
        return answer.body, generation_of(answer, key)

    async def put(self, key: str, content: ObjectContent) -> None:
        """Write an object whole, replacing."""
        answer = await self._insert({"name": key, "contentType": OCTETS}, content)
        check_made(answer, key, size_of(content))

    async def put_if_absent(self, key: str, content: ObjectContent) -> bool:
        """Write an object whole unless there is one; return whether it was written."""
        writer = secrets.token_hex(16)
        about = {"name": key, "contentType": OCTETS, "metadata": {_WRITER: writer}}
        answer = await self._insert(about, content, "&ifGenerationMatch=0")
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            # Our first attempt may have made it, and its answer been lost.
            found = await self.facts(key) if answer.attempt > 1 else None
            return found is not None and found.writer == writer
        check_made(answer, key, size_of(content))
        return True

    async def _insert(self, about: Mapping[str, object], content: ObjectContent, query: str = "") -> StoreAnswer:
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(about)}\r\n"
            f"--{boundary}\r\nContent-Type: {OCTETS}\r\n\r\n"
        )
        pieces = [content] if isinstance(content, bytes) else content
        call = StoreCall(
            kind="objects.insert",
            method="POST",
            url=f"{self._uploads}?uploadType=multipart{query}",
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
            body=[head.encode(), *pieces, f"\r\n--{boundary}--\r\n".encode()],
            is_bulk=size_of(content) > _SMALL_BYTES,
        )
        return await self.send(call, str(about["name"]))

    async def delete(self, key: str, *, generation: str = "", until: float = math.inf) -> bool:
        """Remove an object, not later than *until*; return whether there was one (of that generation)."""
        query = f"?ifGenerationMatch={generation}" if generation else ""
        call = StoreCall(kind="objects.delete", method="DELETE", url=f"{self._url(key)}{query}", until=until)
        answer = await self.send(call, key)
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            return False
        if is_missing(answer, self.bucket):
            return answer.attempt > 1  # An earlier attempt may have done it, and its answer been lost.
        expect(answer, "objects.delete", key, OK, HTTPStatus.NO_CONTENT)
        if answer.body.lstrip().startswith(b"<"):
            msg = f"objects.delete of {key}: a page was answered, which is none of the service's"
            raise StorageUnavailable(msg)
        return True

    async def page(
        self, prefix: str, *, start: str = "", folded: bool = False, token: str = "", limit: int = 1000
    ) -> ListedPage:
        """List a page of the keys that begin with *prefix*, those from *start* on."""
        asked = {"prefix": prefix, "maxResults": str(limit), "fields": f"nextPageToken,prefixes,items({_FIELDS})"}
        asked |= {"delimiter": "/"} if folded else {}
        asked |= {"startOffset": start} if start else {}
        asked |= {"pageToken": token} if token else {}
        url = f"{self._folder}/o?{urlencode(asked, quote_via=quote)}"
        answer = await self.send(StoreCall(kind="objects.list", method="GET", url=url), prefix)
        is_missing(answer, self.bucket)
        found = json_of(answer, "objects.list", prefix, OK)
        objects = [_facts(item) for item in found.get("items", [])]
        behind = found.get("nextPageToken", "")
        if behind and behind == token:
            msg = "the service says that a list goes on, and not where"
            raise StorageUnavailable(msg)
        return ListedPage(objects, found.get("prefixes", []), behind)

    async def rewrite(self, source: str, target: str) -> bool:
        """Copy an object of any size within the bucket; return whether there was one."""
        url = f"{self._url(source)}/rewriteTo/b/{quote(self.bucket, safe='')}/o/{quote(target, safe='')}"
        token = ""
        while True:
            query = f"?rewriteToken={quote(token, safe='')}" if token else ""
            call = StoreCall(
                kind="objects.rewrite",
                method="POST",
                url=f"{url}{query}",
                headers={"Content-Type": "application/json"},
                body=json.dumps({"contentType": OCTETS}).encode(),
                total_s=None,
            )
            answer = await self.send(call, source)
            if is_missing(answer, self.bucket):
                return False
            found = json_of(answer, "objects.rewrite", source, OK)
            if found.get("done", "resource" in found):
                return True
            if "rewriteToken" not in found:
                msg = f"{target}: the service does not say whether it was copied"
                raise StorageUnavailable(msg)
            token = str(found["rewriteToken"])

    async def compose(self, sources: Sequence[str], target: str) -> None:
        """Join up to 32 objects of the bucket.

        Raises:
            PathUnknown: one of them is not there, as far as can be told the one that it has.
        """
        call = StoreCall(
            kind="objects.compose",
            method="POST",
            url=f"{self._url(target)}/compose",
            headers={"Content-Type": "application/json"},
            body=json.dumps(
                {"sourceObjects": [{"name": name} for name in sources], "destination": {"contentType": OCTETS}}
            ).encode(),
            total_s=None,
        )
        answer = await self.send(call, target)
        if is_missing(answer, self.bucket):
            named = [name for name in sources if name in answer.body.decode(errors="replace")]
            raise PathUnknown((named or list(sources))[0])
        check_made(answer, target)

    async def permissions(self, wanted: Sequence[str]) -> frozenset[str] | None:
        """Ask which of some permissions the account has for the bucket; None: the service cannot tell."""
        query = urlencode([("permissions", name) for name in wanted])
        url = f"{self._folder}/iam/testPermissions?{query}"
        answer = await self.send(StoreCall(kind="buckets.testIamPermissions", method="GET", url=url), self.bucket)
        if is_missing(answer, self.bucket) or answer.status != OK:
            return None
        found = json_of(answer, "buckets.testIamPermissions", self.bucket, OK)
        return frozenset(found.get("permissions", []))

    async def about(self, fields: str) -> Mapping[str, Any]:
        """Ask for *fields* of the bucket itself; empty where the account may not, or nothing is said."""
        answer = await self.send(
            StoreCall(kind="buckets.get", method="GET", url=f"{self._folder}?fields={quote(fields)}"), ""
        )
        return json_of(answer, "buckets.get", "", OK) if answer.status == OK else {}

    async def begin_session(self, key: str) -> str:
        """Begin a resumable upload; return its address, which is a secret: who has it may write."""
        call = StoreCall(
            kind="objects.insert",
            method="POST",
            url=f"{self._uploads}?uploadType=resumable&name={quote(key, safe='')}",
            headers={"X-Upload-Content-Type": OCTETS, "Content-Type": "application/json"},
            body=b"{}",
        )
        answer = expect(await self.send(call, key), "objects.insert", key, OK, HTTPStatus.CREATED)
        address = answer.headers.get("Location", "")
        if not self.is_session(address):
            msg = f"{key}: the service began an upload at an address of another service"
            raise StorageUnavailable(msg)
        return address

    def is_session(self, address: str) -> bool:
        """Return whether it can be the address of an upload of this bucket: our token goes nowhere else."""
        host, _, rest = address.partition("/upload/storage/v1/b/")
        is_ours = host == self.endpoint or (_is_google(self.endpoint) and _is_google(host))
        return is_ours and rest.startswith(f"{quote(self.bucket, safe='')}/o?")

    async def send(self, call: StoreCall, key: str) -> StoreAnswer:
        """Send a call with a token, once more with another if that one is not taken any more."""
        if call.method in ("POST", "DELETE"):
            return await to_its_end(self._send(call, key))
        return await self._send(call, key)

    async def _send(self, call: StoreCall, key: str) -> StoreAnswer:
        async with self._turns:
            answer = await self._with_token(self.exchange.send, call)
        assert isinstance(answer, StoreAnswer)  # noqa: S101 - streams come from another method
        self._log_it(call, key, answer)
        return answer

    def _url(self, key: str) -> str:
        return f"{self._folder}/o/{quote(key, safe='')}"

    async def _with_token(self, send: Any, call: StoreCall) -> StoreAnswer | Stream:  # noqa: ANN401 - either way of the exchange
        header = await self._account.authorization()
        answer: StoreAnswer | Stream = await send(_carrying(call, header))
        if answer.status == HTTPStatus.UNAUTHORIZED and header:
            await self._account.renew(header)
            answer = await send(_carrying(call, await self._account.authorization()))
        return answer

    def _log_it(self, call: StoreCall, key: str, answer: StoreAnswer) -> None:
        if self._logs:
            _log.info("storage request", request=call.kind, key=key, status=answer.status, attempt=answer.attempt)


def generation_of(answer: StoreAnswer | Stream, key: str) -> str:
    """Return the generation of the object whose bytes an answer has; empty: an emulator does not say it.

    Raises:
        StorageUnavailable: it is a page of a proxy.
    """
    generation = answer.headers.get("X-Goog-Generation", "")
    if not generation and answer.headers.get("Content-Type", "").startswith("text/html"):
        msg = f"{key}: a page was answered, which is none of the service's"
        raise StorageUnavailable(msg)
    return generation


def check_made(answer: StoreAnswer, key: str, size_bytes: int | None = None) -> None:
    """See that an answer says that an object was made, of that many bytes if they are known.

    Raises:
        StorageUnavailable: it does not. A page of a proxy would else say that something was written which is nowhere.
    """
    made = json_of(answer, "objects.insert", key, OK, HTTPStatus.CREATED)
    if "name" not in made:
        msg = f"{key}: the service does not say that it was made"
        raise StorageUnavailable(msg)
    if size_bytes is not None and str(made.get("size") or 0) != str(size_bytes):
        msg = f"{key}: {made.get('size')} bytes were stored of {size_bytes}"
        raise StorageUnavailable(msg)


def _facts(item: Mapping[str, Any]) -> GCSObjectFacts:
    try:
        modified_at = datetime.fromisoformat(item["updated"]).astimezone(UTC)
        return GCSObjectFacts(
            key=item["name"],
            size_bytes=int(item.get("size") or 0),
            modified_at=modified_at,
            generation=str(item.get("generation", "")),
            is_session=item.get("contentType") == SESSION_TYPE,
            writer=(item.get("metadata") or {}).get(_WRITER, ""),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        msg = "the service described an object in an unknown way"
        raise StorageUnavailable(msg) from exc


def _carrying(call: StoreCall, header: str) -> StoreCall:
    return replace(call, headers={**call.headers, "Authorization": header}) if header else call


def _is_google(url: str) -> bool:
    return url.startswith("https://") and url.endswith(".googleapis.com")
