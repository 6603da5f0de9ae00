"""Paths of this registry's own API, ``/moorage/v1/``: all fixed; repositories, tags and requests are in the query.

Source: ADR 0012.
"""

from collections.abc import Callable, Iterable

from moorage.errors import RouteUnknown
from moorage.http.endpoints import Route
from moorage.http.operations import Operation

BASE = "moorage/"


def matcher(operations: Iterable[Operation]) -> Callable[[str], Route | None]:
    """Make what finds the endpoint of a path among those of *operations*."""
    routes = {row.endpoint.path.removeprefix("/"): Route(row.endpoint) for row in operations}

    def match(path: str) -> Route | None:
        if not path.startswith(BASE):
            return None
        route = routes.get(path)
        if route is None:
            msg = "there is nothing at this path; with a metadata database, /moorage/v1/openapi.json says what there is"
            raise RouteUnknown(msg)
        return route

    return match
