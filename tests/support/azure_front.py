"""A proxy in front of Azurite that is as strict as the real service where Azurite is not, and fails as it is told.

It copies blocks from URLs, which Azurite does not know, and lets no blob replace one of another type. Source: "Put
Block From URL" of Azure's documentation, and Distribution's driver, which removes such blobs first.
"""

import asyncio
import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from moorage.storage.azure.shared_key import AccountKey
from moorage.storage.azure.signed_urls import VERSION
from moorage.storage.remote.exchange import StoreCall
from support.azurite import ACCOUNT, KEY, Azurite

_HOP = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, with the service's name of it."""

    kind: str
    method: str
    path: str
    query: Mapping[str, str]


@dataclass(slots=True)
class Fault:
    """A failure of requests of a kind: how many of them fail, and how."""

    kind: str
    status: int = 0
    """Answered instead of passed on, with *code*; 0: passed on."""
    code: str = ""
    is_lost: bool = False
    """The service has done it; the connection ends without an answer."""
    held: asyncio.Event | None = None
    """It is answered only when this is set."""
    cut_at: int | None = None
    """The body of the answer ends there."""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class AzureFront:
    """The proxy. ``async with AzureFront(azurite) as front:`` and use ``front.url``."""

    def __init__(self, behind: Azurite, *, copies: bool = True, is_strict: bool = True) -> None:
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self._behind = behind
        self._copies = copies
        self._is_strict = is_strict
        self._key = AccountKey.parse(ACCOUNT, KEY)
        self._stack = contextlib.AsyncExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """The account's URL, as ``serviceurl`` takes it."""
        return f"http://127.0.0.1:{self._port}/{ACCOUNT}"

    def kinds(self) -> list[str]:
        """The kinds of requests so far, in their order."""
        return [seen.kind for seen in self.seen]

    async def __aenter__(self) -> Self:
        self._client = await self._stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        kind = _kind_of(request)
        self.seen.append(Seen(kind, request.method, request.path, dict(request.query)))
        body = await request.read()
        fault = next((fault for fault in self.faults if fault.kind in {kind, "*"} and fault.times > 0), None)
        if fault is not None:
            fault.times -= 1
            if fault.held is not None:
                await fault.held.wait()
            if fault.status:
                return _refusal(fault.status, fault.code, fault.headers)
        answer = await self._answer(request, kind, body)
        if fault is not None and fault.is_lost:
            assert request.transport is not None
            request.transport.abort()
        if fault is not None and fault.cut_at is not None:
            return await _cut(request, answer, fault.cut_at)
        return answer

    async def _answer(self, request: web.Request, kind: str, body: bytes) -> web.Response:
        if self._is_strict and request.method == "PUT" and kind in {"PutBlob", "PutBlock", "PutBlockList"}:
            there = await self._ask("HEAD", request.path_qs.partition("?")[0])
            if (
                there.headers.get("x-ms-blob-type", "BlockBlob") != "BlockBlob"
                and "If-None-Match" not in request.headers
            ):
                return _refusal(409, "InvalidBlobType", {})
        if kind == "PutBlockFromURL" and self._copies:
            return await self._copied(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = f"http://127.0.0.1:{self._behind.port}{request.raw_path}"
        async with self._client.request(
            request.method,
            URL(url, encoded=True),
            data=io.BytesIO(body) if body else None,
            headers=headers,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        ) as answer:
            return _passed_on(answer, await answer.read(), request.method)

    async def _copied(self, request: web.Request) -> web.Response:
        source = request.headers["x-ms-copy-source"].replace(f":{self._port}/", f":{self._behind.port}/")
        headers = {"x-ms-range": request.headers["x-ms-source-range"]}
        async with self._client.get(URL(source, encoded=True), headers=headers) as answer:
            content = await answer.read()
            if answer.status == 404:
                return _refusal(404, "CannotVerifyCopySource", {})
            if answer.status != 206:
                return _refusal(403, "CannotVerifyCopySource", {})
        made = await self._ask("PUT", request.raw_path, content)
        return web.Response(status=made.status, headers={"x-ms-error-code": made.headers.get("x-ms-error-code", "")})

    async def _ask(self, method: str, target: str, body: bytes = b"") -> aiohttp.ClientResponse:
        url = f"http://127.0.0.1:{self._behind.port}{target}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
        call = StoreCall(kind="", method=method, url=url, headers=headers, body=body)
        headers["Authorization"] = self._key.authorization(call, headers)
        async with self._client.request(
            method,
            URL(url, encoded=True),
            data=io.BytesIO(body) if body else None,
            headers=headers,
            skip_auto_headers=("Content-Type",),
        ) as answer:
            await answer.read()
            return answer


def _kind_of(request: web.Request) -> str:
    comp, is_put = request.query.get("comp", ""), request.method == "PUT"
    if comp == "block":
        return "PutBlockFromURL" if "x-ms-copy-source" in request.headers else "PutBlock"
    by_comp = {"blocklist": "PutBlockList", "list": "ListBlobs", "properties": "GetAccountInformation"}
    plain = {"GET": "GetBlob", "HEAD": "GetBlobProperties", "DELETE": "DeleteBlob"}
    return by_comp.get(comp) or ("PutBlob" if is_put else plain.get(request.method, comp or request.method))


def _refusal(status: int, code: str, headers: dict[str, str]) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>As the test wants it.</Message></Error>"
    return web.Response(status=status, text=text, headers={"x-ms-error-code": code, **headers})


def _passed_on(answer: aiohttp.ClientResponse, body: bytes, method: str) -> web.Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP - {"content-length"}}
    if method != "HEAD":
        headers.pop("Content-Length", None)
    return web.Response(status=answer.status, headers=headers, body=None if method == "HEAD" else body)


async def _cut(request: web.Request, answer: web.Response, at: int) -> web.StreamResponse:
    assert isinstance(answer.body, bytes)
    short = web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Content-Length": str(len(answer.body))}
    )
    await short.prepare(request)
    await short.write(answer.body[:at])
    assert request.transport is not None
    await asyncio.sleep(0)
    request.transport.close()
    return short
