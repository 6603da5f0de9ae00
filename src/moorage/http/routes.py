"""Paths of the registry's wire: which endpoint one is, read from its end, as repository names may hold any word."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import unquote

from moorage.errors import NameInvalid
from moorage.oci.names import RepositoryName


class Endpoint(Enum):
    """Things that a path can name. The numbers are the specification's."""

    ALIVE = auto()
    """``/``"""
    BASE = auto()
    """``/v2/`` (end-1)"""
    CATALOGUE = auto()
    """``/v2/_catalog``"""
    BLOB = auto()
    """``/v2/<name>/blobs/<digest>`` (end-2, end-10)"""
    MANIFEST = auto()
    """``/v2/<name>/manifests/<reference>`` (end-3, end-7, end-9)"""
    UPLOADS = auto()
    """``/v2/<name>/blobs/uploads/`` (end-4, end-11)"""
    UPLOAD = auto()
    """``/v2/<name>/blobs/uploads/<id>`` (end-5, end-6, end-13, end-14)"""
    TAGS = auto()
    """``/v2/<name>/tags/list`` (end-8)"""
    REFERRERS = auto()
    """``/v2/<name>/referrers/<digest>`` (end-12)"""
    GITLAB_BASE = auto()
    """``/gitlab/v1/``"""
    GITLAB_REPOSITORY = auto()
    """``/gitlab/v1/repositories/<name>/``"""
    GITLAB_TAG = auto()
    """``/gitlab/v1/repositories/<name>/tags/detail/<tag>/``"""
    GITLAB_TAGS = auto()
    """``/gitlab/v1/repositories/<name>/tags/list/``"""
    GITLAB_REPOSITORIES = auto()
    """``/gitlab/v1/repository-paths/<name>/repositories/list/``"""
    GITLAB_STATISTICS = auto()
    """``/gitlab/v1/statistics/``"""
    GITLAB_UNSLASHED = auto()
    """``/gitlab/v1/…`` without the slash at its end"""
    MOORAGE_OPENAPI = auto()
    """``/moorage/v1/openapi.json``"""
    MOORAGE_HISTORY = auto()
    """``/moorage/v1/history``"""
    MOORAGE_REQUEST = auto()
    """``/moorage/v1/request``"""
    MOORAGE_REQUEST_UNDO = auto()
    """``/moorage/v1/request/undo``"""
    MOORAGE_TAG = auto()
    """``/moorage/v1/tag``"""
    MOORAGE_TAG_UNDO = auto()
    """``/moorage/v1/tag/undo``"""
    MOORAGE_TAGS_DELETE = auto()
    """``/moorage/v1/tags/delete``"""
    MOORAGE_GC_STATUS = auto()
    """``/moorage/v1/gc/status``"""
    MOORAGE_GC_RUN = auto()
    """``/moorage/v1/gc/run``"""
    MOORAGE_GC_EXPLAIN = auto()
    """``/moorage/v1/gc/explain``"""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, the repository in its path, and the path's last part."""

    endpoint: Endpoint
    name: RepositoryName | None = None
    target: str = ""
    is_odd: bool = False
    """True if no repository gets such a name any more; one that has it already can be read, and taken away."""


_REMEMBERED_LENGTH = 512
"""Longer paths are read anew each time: what is remembered must not grow with what strangers send."""

_FIXED = {
    "": Route(Endpoint.ALIVE),
    "v2": Route(Endpoint.BASE),
    "v2/": Route(Endpoint.BASE),
    "v2/_catalog": Route(Endpoint.CATALOGUE),
}


def match(path: str) -> Route | None:
    """Find what *path* (below the prefix, without a leading slash or a query) names; None if nothing of ours.

    Raises:
        NameInvalid: it is one of ours, for a repository whose name no storage could have.
    """
    return _remembered(path) if len(path) <= _REMEMBERED_LENGTH else _match(path)


def _match(path: str) -> Route | None:
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    if "%" in path:
        path = unquote(path, errors="replace")
    if not path.startswith("v2/"):
        return None
    found = _split(path[3:])
    if found is None:
        return None
    endpoint, name, target = found
    if not name:
        msg = "the path has no repository name"
        raise NameInvalid(msg)
    return Route(endpoint, RepositoryName.parse_stored(name), target, is_odd=not RepositoryName.is_valid(name))


_remembered = lru_cache(maxsize=4096)(_match)
"""The same few paths are asked for again and again."""


def _split(path: str) -> tuple[Endpoint, str, str] | None:
    rest, _, last = path.rpartition("/")
    before, _, word = rest.rpartition("/")
    if word == "manifests":
        return Endpoint.MANIFEST, before, last
    if word == "blobs":
        return (Endpoint.UPLOADS, before, "") if last == "uploads" else (Endpoint.BLOB, before, last)
    if word == "uploads" and before.endswith("/blobs"):
        return (Endpoint.UPLOAD if last else Endpoint.UPLOADS), before[:-6], last
    if word == "tags" and last == "list":
        return Endpoint.TAGS, before, ""
    if word == "referrers":
        return Endpoint.REFERRERS, before, last
    return None
