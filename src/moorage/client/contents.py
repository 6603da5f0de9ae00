"""Contents of a registry, by the requests that every registry answers: names, manifests, sizes."""

import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.client.reading import AnswerUnreadable, read_json
from moorage.client.registry import CommandFailed, Remote
from moorage.oci.mediatypes import is_listed_manifest

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_IDLE_PAGES_LIMIT = 1000
"""So many pages without a new name: whoever may see little of a list gets empty ones in between."""
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")


@dataclass(frozen=True, slots=True)
class RepositorySize:
    """A repository, and how large the blobs are that its tags need."""

    repository: str
    size_bytes: int
    shared_bytes: int
    """Of them, what other repositories need, too."""


@dataclass(frozen=True, slots=True)
class ContentSizes:
    """Repositories, and all their blobs together, each counted once."""

    repositories: Sequence[RepositorySize]
    size_bytes: int


def pages(remote: Remote, path: str, member: str) -> Iterator[str]:
    """The names in all pages of a list.

    Raises:
        CommandFailed: the registry refused, or is none.
    """
    seen, found = set(), PagedNames(remote.url)
    while path not in seen:
        seen.add(path)
        received = remote.fetch(path, accept="application/json")
        yield from found.of_page(names_in(received.body, remote.url, member))
        following = _NEXT.search(received.headers.get("Link", ""))
        if following is None:
            return
        # Only a path: nobody is led to another host.
        path = "/v2/" + following[1].partition("/v2/")[2]


def tags_of(remote: Remote, repository: str) -> Iterator[str]:
    """Yield the tags of a repository.

    Raises:
        CommandFailed: the registry refused, or is none.
    """
    return pages(remote, f"/v2/{urllib.parse.quote(repository)}/tags/list", "tags")


def manifest_of(remote: Remote, repository: str, reference: str) -> tuple[str, Mapping[str, Any]]:
    """The digest and the content of a manifest.

    Raises:
        CommandFailed: the registry refused, or is none.
    """
    received = remote.fetch(manifest_path(repository, reference), accept=_MANIFESTS)
    return received.headers.get("Docker-Content-Digest", reference), object_in(received.body, remote.url)


def parts_of(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The blobs of a manifest, each with its size; of an index those that it lists beside manifests."""
    listed = (entry for entry in _objects(manifest, "manifests") if not is_listed_manifest(entry.get("mediaType")))
    config = manifest.get("config")
    for part in (*([config] if isinstance(config, dict) else ()), *_objects(manifest, "layers"), *listed):
        size = part.get("size")
        yield str(part.get("digest")), size if isinstance(size, int) else 0


def children_of(manifest: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The manifests that an index lists; none in an image."""
    return [entry for entry in _objects(manifest, "manifests") if is_listed_manifest(entry.get("mediaType"))]


def _objects(manifest: Mapping[str, Any], member: str) -> Sequence[Mapping[str, Any]]:
    values = manifest.get(member)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else ()


def measured(
    remote: Remote,
    repositories: Sequence[str],
    *,
    measured_one: Callable[[], object] = lambda: None,
    left_out: Callable[[str, str], object] = lambda _place, _why: None,
) -> ContentSizes:
    """Measure repositories; a manifest is got once, however many tags and repositories have it.

    *left_out* is told of manifests that cannot be had, and why.

    Raises:
        CommandFailed: the registry refused to list tags, or is none.
    """
    known: dict[str, _Known] = {}
    content = {}
    for name in repositories:
        content[name] = _content(remote, name, known, left_out)
        measured_one()
    owners = Counter(digest for blobs in content.values() for digest in blobs)
    found = [
        RepositorySize(name, sum(blobs.values()), sum(size for digest, size in blobs.items() if owners[digest] > 1))
        for name, blobs in content.items()
    ]
    return ContentSizes(
        found, sum({digest: size for blobs in content.values() for digest, size in blobs.items()}.values())
    )


@dataclass(frozen=True, slots=True)
class _Known:
    parts: Mapping[str, int]
    children: Sequence[str]


def _content(
    remote: Remote, repository: str, known: dict[str, _Known], left_out: Callable[[str, str], object]
) -> Mapping[str, int]:
    """The blobs of a repository that its tags need, each with its size."""
    blobs: dict[str, int] = {}
    waiting = list(tags_of(remote, repository))
    seen = set()
    while waiting:
        reference = waiting.pop()
        try:
            digest = reference if ":" in reference else _digest_of(remote, repository, reference)
            if digest in seen:
                continue
            seen.add(digest)
            if digest not in known:
                _, manifest = manifest_of(remote, repository, digest)
                children = [str(child.get("digest")) for child in children_of(manifest)]
                known[digest] = _Known(dict(parts_of(manifest)), children)
        except CommandFailed as exc:
            if not exc.code:
                raise
            left_out(f"{repository}{'@' if ':' in reference else ':'}{reference}", str(exc))
            continue
        blobs.update(known[digest].parts)
        waiting += known[digest].children
    return blobs


def _digest_of(remote: Remote, repository: str, tag: str) -> str:
    headers = remote.fetch(manifest_path(repository, tag), method="HEAD", accept=_MANIFESTS).headers
    return str(headers.get("Docker-Content-Digest") or tag)


def manifest_path(repository: str, reference: str) -> str:
    """Return the path of a manifest; whatever a caller typed is a name in it, and no query."""
    return f"/v2/{urllib.parse.quote(repository)}/manifests/{urllib.parse.quote(reference, safe=':')}"


class PagedNames:
    """Names that came a page at a time, which tell a list that goes on from one that never ends.

    Of each page the first name is remembered: a list may be longer than memory should grow.
    """

    def __init__(self, url: str) -> None:
        """Begin with none of them; *url* is whose list it is."""
        self._url = url
        self._first_names: set[str] = set()
        self._idle_pages = 0

    def of_page(self, names: Sequence[str]) -> Sequence[str]:
        """Return *names*, which one more page has.

        Raises:
            CommandFailed: for long, no page has begun with a name that none had begun with before.
        """
        is_idle = not names or names[0] in self._first_names
        self._first_names.update(names[:1])
        self._idle_pages = self._idle_pages + 1 if is_idle else 0
        if self._idle_pages > _IDLE_PAGES_LIMIT:
            msg = f"{self._url} leads in a circle: {_IDLE_PAGES_LIMIT:,} pages of its list had nothing new"
            raise CommandFailed(msg)
        return names


def names_in(body: bytes, url: str, member: str) -> Sequence[str]:
    """Return the names in one page of a list that *url* answers; none where there is no list.

    Raises:
        CommandFailed: it is no such list, or one of its names can be none.
    """
    names = object_in(body, url).get(member)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
        msg = f"what answers at {url} is no registry: its {member} are no list of names"
        raise CommandFailed(msg)
    return names


def object_in(body: bytes, url: str) -> Mapping[str, Any]:
    """Return the JSON object in an answer of *url*.

    Raises:
        CommandFailed: there is none.
    """
    try:
        value = read_json(body)
    except AnswerUnreadable:
        value = None
    if not isinstance(value, dict):
        msg = f"what answers at {url} is no registry"
        raise CommandFailed(msg)
    return value
