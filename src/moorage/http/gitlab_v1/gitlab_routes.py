"""Paths of GitLab's API, ``/gitlab/v1/``: every canonical one ends with a slash."""

from urllib.parse import unquote

from moorage.http.endpoints import Endpoint, Route
from moorage.oci.names import RepositoryName

BASE = Endpoint("/gitlab/v1/")
REPOSITORY = Endpoint("/gitlab/v1/repositories/<name>/")
TAG = Endpoint("/gitlab/v1/repositories/<name>/tags/detail/<tag>/")
TAGS = Endpoint("/gitlab/v1/repositories/<name>/tags/list/")
REPOSITORIES = Endpoint("/gitlab/v1/repository-paths/<name>/repositories/list/")
STATISTICS = Endpoint("/gitlab/v1/statistics/")
UNSLASHED = Endpoint("/gitlab/v1/…", "without the slash at its end")

_FIXED = {
    "gitlab/v1/": BASE,
    "gitlab/v1/statistics/": STATISTICS,
}
_REPOSITORIES = "gitlab/v1/repositories/"
_PATHS = "gitlab/v1/repository-paths/"


def match(path: str) -> Route | None:
    """Find what *path* (below the prefix, without a leading slash or a query) names; None if nothing of this API.

    Raises:
        NameInvalid: it is one of this API, for a repository whose name is outside the grammar.
    """
    if not path.startswith("gitlab/v1"):
        return None
    if "%" in path:
        path = unquote(path, errors="replace")
    route = _match(path if path.endswith("/") else f"{path}/")
    if route is None or path.endswith("/"):
        return route
    return Route(UNSLASHED)


def _match(path: str) -> Route | None:
    fixed = _FIXED.get(path)
    if fixed is not None:
        return Route(fixed)
    found = _split(path)
    if found is None:
        return None
    endpoint, name, target = found
    return Route(endpoint, RepositoryName.parse(name), target)


def _split(path: str) -> tuple[Endpoint, str, str] | None:
    """The endpoint, the repository and the tag in *path*, read from its end: a repository's name may hold any word."""
    if path.startswith(_PATHS) and path.endswith("/repositories/list/"):
        return REPOSITORIES, path[len(_PATHS) : -len("/repositories/list/")], ""
    if not path.startswith(_REPOSITORIES) or len(path) == len(_REPOSITORIES):
        return None
    rest = path[len(_REPOSITORIES) : -1]
    before, _, last = rest.rpartition("/")
    if before.endswith("/tags") and last == "list":
        return TAGS, before.removesuffix("/tags"), ""
    if before.endswith("/tags/detail"):
        return TAG, before.removesuffix("/tags/detail"), last
    return REPOSITORY, rest, ""
