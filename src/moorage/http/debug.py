"""The debug server: is this process able to do its work, and what has the node done? (``http.debug.addr``)."""

import json
from collections.abc import Mapping
from typing import Protocol

from aiohttp.web_request import BaseRequest

from moorage.http.database_report import DatabaseReport
from moorage.http.health_report import HealthReport
from moorage.web.responses import SAFE_HEADERS, Response

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Protocol):
    """The numbers that Prometheus is told."""

    async def text(self) -> bytes:
        """Everything, in Prometheus' text format."""


class DebugApp:
    """``GET /debug/health``: 200 with ``{}``; 200 and "degraded"; 503 where something does not answer.

    Asked are storage and, if there is one, the database, and told is which of the checks in ``health`` fail. It is
    degraded where so little room is left that pushes are refused, and while blobs are damaged that a client of this
    worker has asked for. The status stays 200 then, because pulls and deletes go on, pushes heal what is damaged, and
    no load balancer should stop them.

    ``GET /debug/health/live``: 200 as long as the process answers. ``GET /debug/health/ready``: 503 with the reasons if
    no requests should come here, because something fails or the node is stopping; ``/debug/health/ready/push``: the
    same if no pushes should, because there is no room besides, or the registry is read-only.

    ``GET /debug/health/db``, where there is a database: 200 with how its primary and its replicas are.

    ``GET`` of ``http.debug.prometheus.path``: the node's metrics, where they are on.

    Source: GitLab features HLT-001, HLT-002, HLT-004, HLT-007.
    """

    def __init__(
        self,
        health: HealthReport,
        *,
        database: DatabaseReport | None = None,
        metrics: Metrics | None = None,
        metrics_path: str = "",
    ) -> None:
        self._health = health
        self._database = database
        self._metrics = metrics
        self._metrics_path = metrics_path

    async def __call__(self, request: BaseRequest) -> Response:
        """Answer one request."""
        response = await self._answer(request)
        response.headers.update(SAFE_HEADERS)
        return response

    async def _answer(self, request: BaseRequest) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(404)
        if self._metrics is not None and request.path == self._metrics_path:
            return Response(200, {"Content-Type": _METRICS_TYPE}, await self._metrics.text())
        found = await self._found(request.path)
        return Response(404) if found is None else found

    async def _found(self, path: str) -> Response | None:
        match path:
            case "/debug/health":
                found = await self._health.ask()
                return _told(bool(found.failed), {**found.notes, **found.full, **found.failed})
            case "/debug/health/db" if self._database is not None:
                return _told(False, await self._database.ask())
            case "/debug/health/live":
                return _told(False, {})
            case "/debug/health/ready" | "/debug/health/ready/push":
                why = await self._health.unready(for_pushes=path.endswith("/push"))
                return _told(bool(why), why)
        return None


def _told(is_bad: bool, found: Mapping[str, object]) -> Response:  # noqa: FBT001 - it is the status
    return Response(503 if is_bad else 200, {"Content-Type": "application/json"}, json.dumps(found).encode())
