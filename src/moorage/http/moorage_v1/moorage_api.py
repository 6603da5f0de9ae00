"""Our own API, put together: the table of its operations, their handlers, and its description."""

import asyncio
from collections.abc import Mapping, Sequence

from moorage import __version__
from moorage.errors import RouteUnknown
from moorage.http.call import Call
from moorage.http.moorage_v1 import requests as asked
from moorage.http.moorage_v1.moorage_operations import OPENAPI, OPERATIONS
from moorage.http.moorage_v1.moorage_routes import matcher
from moorage.http.moorage_v1.notification_operations import NOTIFICATION_OPERATIONS
from moorage.http.moorage_v1.openapi import document
from moorage.http.moorage_v1.state_operations import STATE_OPERATIONS
from moorage.http.operations import READS, Api, Handler, Method, Operation
from moorage.web.responses import Response

EVERY_OPERATION: Sequence[Operation] = (*OPERATIONS, *NOTIFICATION_OPERATIONS, *STATE_OPERATIONS)
"""In the order of the OpenAPI document."""

_EVERY_METHOD: Sequence[Method] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def moorage_api(
    handlers: Mapping[Operation, Handler], *, prefix: str, operations: Sequence[Operation] = EVERY_OPERATION
) -> Api:
    """Make the API of its handlers, without that of its description; *prefix* is ``http.prefix``."""
    made: list[bytes] = []

    async def openapi(call: Call) -> Response:
        """The description of this API."""
        asked.parse_query(asked.NoQuery, call.query)
        if not made:  # For the first who asks, beside the loop: hardly anybody does.
            made.append(await asyncio.to_thread(document, operations, version=__version__, prefix=prefix))
        return Response(200, {"Content-Type": "application/json"}, made[0])

    return Api(matcher(operations), operations, {OPENAPI: openapi, **handlers})


def moorage_api_without_database(handlers: Mapping[Operation, Handler]) -> Api:
    """Make the API of a registry without a metadata database: what *handlers* has, else 404, which says why.

    What is absent says so for every method.
    """
    rows = [
        Operation(
            endpoint=row.endpoint,
            methods=(method,),
            wanted=row.wanted,
            is_write=method not in READS,
            deletes=method == "DELETE" or (row.deletes and method not in READS),
        )
        for row in EVERY_OPERATION
        if row not in handlers
        for method in _EVERY_METHOD
    ]
    return Api(matcher(EVERY_OPERATION), [*handlers, *rows], {**handlers, **dict.fromkeys(rows, _absent)})


async def _absent(call: Call) -> Response:
    del call
    msg = "history, undo, online garbage collection and kept notifications need the metadata database, "
    msg += "and this registry keeps its metadata in link files"
    raise RouteUnknown(msg)
