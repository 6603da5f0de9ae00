"""The debug server: is this process able to do its work, and what has the node done? (``http.debug.addr``)."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from moorage.core.damage import DamageFound
from moorage.errors import BackendError, StorageFull
from moorage.room import Room
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.web.responses import SAFE_HEADERS, Response

_FRESH_S = 2.0
"""Seconds for which an answer stands, so that an eager load balancer does not wear out the disk."""

_DEADLINE_S = 10.0


_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Protocol):
    """The numbers that Prometheus is told."""

    async def text(self) -> bytes:
        """Everything, in Prometheus' text format."""


class DebugApp:
    """``GET /debug/health``: 200 with ``{}``; 200 and "degraded"; 503 where something does not answer.

    Asked are storage and, if there is one, the database. It is degraded where so little room is left that pushes are
    refused, and while blobs are damaged that a client of this worker has asked for. The status stays 200 then, because
    pulls and deletes go on, pushes heal what is damaged, and no load balancer should stop them.

    ``GET`` of ``http.debug.prometheus.path``: the node's metrics, where they are on.

    Source: GitLab features HLT-001, HLT-004, HLT-007.
    """

    def __init__(
        self,
        storage: StorageDriver,
        database: Database | None = None,
        *,
        room: Room | None = None,
        damage: Callable[[], Awaitable[DamageFound | None]] | None = None,
        metrics: Metrics | None = None,
        metrics_path: str = "",
    ) -> None:
        self._storage = storage
        self._database = database
        self._room = room or Room({})
        self._damage = damage
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._status, self._found = 200, {"": ""}

    async def __call__(self, request: web.BaseRequest) -> Response:
        """Answer one request."""
        response = await self._answer(request)
        response.headers.update(SAFE_HEADERS)
        return response

    async def _answer(self, request: web.BaseRequest) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(404)
        if self._metrics is not None and request.path == self._metrics_path:
            return Response(200, {"Content-Type": _METRICS_TYPE}, await self._metrics.text())
        if request.path != "/debug/health":
            return Response(404)
        async with self._lock:
            if time.monotonic() - self._checked_at > _FRESH_S:
                self._status, self._found = await self._check()
                self._checked_at = time.monotonic()
        return Response(self._status, {"Content-Type": "application/json"}, json.dumps(self._found).encode())

    async def _check(self) -> tuple[int, dict[str, str]]:
        parts = {f"storagedriver_{self._storage.name}": self._storage.probe}
        if self._database is not None:
            parts[f"database_{self._database.dialect}"] = self._database.ping
        status, found = 200, {}
        for name, ask in parts.items():
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    await ask()
                self._room.check()
            except StorageFull:
                found[name] = "degraded: no room left; pushes are refused, pulls and deletes go on"
            except (BackendError, TimeoutError) as exc:
                status, found[name] = 503, f"failed: {exc or 'no answer in time'}"
        damage = await self._damaged() if status == 200 else None  # noqa: PLR2004 - as above
        if damage is not None:
            found["blobs"] = str(damage)
        return status, found

    async def _damaged(self) -> DamageFound | None:
        if self._damage is None:
            return None
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._damage()
        except (BackendError, TimeoutError):
            return None  # Whatever does not answer is asked above.
