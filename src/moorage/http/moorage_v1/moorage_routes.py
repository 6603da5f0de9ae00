"""Paths of this registry's own API, ``/moorage/v1/``: all fixed; repositories, tags and requests are in the query.

Source: ADR 0012.
"""

from moorage.errors import RouteUnknown
from moorage.http.routes import Endpoint, Route

BASE = "moorage/"

PATHS = {
    "moorage/v1/openapi.json": Endpoint.MOORAGE_OPENAPI,
    "moorage/v1/history": Endpoint.MOORAGE_HISTORY,
    "moorage/v1/request": Endpoint.MOORAGE_REQUEST,
    "moorage/v1/request/undo": Endpoint.MOORAGE_REQUEST_UNDO,
    "moorage/v1/tag": Endpoint.MOORAGE_TAG,
    "moorage/v1/tag/undo": Endpoint.MOORAGE_TAG_UNDO,
    "moorage/v1/tags/delete": Endpoint.MOORAGE_TAGS_DELETE,
    "moorage/v1/gc/status": Endpoint.MOORAGE_GC_STATUS,
    "moorage/v1/gc/run": Endpoint.MOORAGE_GC_RUN,
    "moorage/v1/gc/explain": Endpoint.MOORAGE_GC_EXPLAIN,
}


def match(path: str) -> Route | None:
    """Find what *path* (below the prefix, no leading slash, no query) names; None if it is not below ``/moorage/``.

    Raises:
        RouteUnknown: it is, and there is no such path.
    """
    if not path.startswith(BASE):
        return None
    endpoint = PATHS.get(path)
    if endpoint is None:
        msg = "there is nothing at this path; with a metadata database, /moorage/v1/openapi.json says what there is"
        raise RouteUnknown(msg)
    return Route(endpoint)
