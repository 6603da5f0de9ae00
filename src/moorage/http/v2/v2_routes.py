"""Paths of ``/v2/``: which endpoint one is, read from its end, as repository names may hold any word.

The numbers are the specification's.
"""

from functools import lru_cache
from urllib.parse import unquote

from moorage.errors import NameInvalid
from moorage.http.endpoints import Endpoint, Route
from moorage.oci.names import RepositoryName

ALIVE = Endpoint("/")
BASE = Endpoint("/v2/", "(end-1)")
CATALOGUE = Endpoint("/v2/_catalog")
BLOB = Endpoint("/v2/<name>/blobs/<digest>", "(end-2, end-10)")
MANIFEST = Endpoint("/v2/<name>/manifests/<reference>", "(end-3, end-7, end-9)")
UPLOADS = Endpoint("/v2/<name>/blobs/uploads/", "(end-4, end-11)")
UPLOAD = Endpoint("/v2/<name>/blobs/uploads/<id>", "(end-5, end-6, end-13, end-14)")
TAGS = Endpoint("/v2/<name>/tags/list", "(end-8)")
REFERRERS = Endpoint("/v2/<name>/referrers/<digest>", "(end-12)")

_REMEMBERED_LENGTH = 512
"""Longer paths are read anew each time: what is remembered must not grow with what strangers send."""

_FIXED = {
    "": Route(ALIVE),
    "v2": Route(BASE),
    "v2/": Route(BASE),
    "v2/_catalog": Route(CATALOGUE),
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
    repository, is_odd = (_remembered_name if len(name) <= _REMEMBERED_LENGTH else _read_name)(name)
    return Route(endpoint, repository, target, is_odd=is_odd)


_remembered = lru_cache(maxsize=1024)(_match)
"""The same few paths are asked for again and again."""


def _read_name(text: str) -> tuple[RepositoryName, bool]:
    """The name of a repository, and whether no new one may have it."""
    return RepositoryName.parse_stored(text), not RepositoryName.is_valid(text)


_remembered_name = lru_cache(maxsize=1024)(_read_name)
"""Paths of uploads are always others, of the same few repositories."""


def _split(path: str) -> tuple[Endpoint, str, str] | None:
    rest, _, last = path.rpartition("/")
    before, _, word = rest.rpartition("/")
    if word == "manifests":
        return MANIFEST, before, last
    if word == "blobs":
        return (UPLOADS, before, "") if last == "uploads" else (BLOB, before, last)
    if word == "uploads" and before.endswith("/blobs"):
        return (UPLOAD if last else UPLOADS), before[:-6], last
    if word == "tags" and last == "list":
        return TAGS, before, ""
    if word == "referrers":
        return REFERRERS, before, last
    return None
