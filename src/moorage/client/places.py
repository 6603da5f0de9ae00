"""Places of images: ``HOST/repository:tag``, as docker writes it, or without the host."""

import urllib.parse
from dataclasses import dataclass

from moorage.auth.addresses import is_loopback

_HUB = "https://registry-1.docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HUB_LOGIN = "index.docker.io"


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """A registry, a repository in it, and what of it is meant; empty: not said."""

    url: str
    repository: str
    tag: str = ""
    digest: str = ""


def read_place(text: str) -> ImagePlace:
    """Take a place apart. As for docker, what stands before the first slash is a host if it looks like one."""
    scheme, is_url, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    if not is_url and not (slash and _looks_like_a_host(host)):
        host, path = "", rest
    path, _, digest = path.partition("@")
    repository, _, tag = path.partition(":")
    return ImagePlace(_url(scheme, host), repository, tag, digest)


def repository_in(text: str) -> str:
    """Return what a place says of its repository, as it was typed: without a tag and a digest."""
    found = read_place(text)
    for end in (found.digest and f"@{found.digest}", found.tag and f":{found.tag}"):
        text = text.removesuffix(end)
    return text


def is_host_alone(text: str) -> bool:
    """Return whether *text* names a registry and nothing in it, where no tag is asked for: HOST/, HOST:PORT or a URL.

    A name with dots alone may be a repository, as for docker.
    """
    _, is_url, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    name, _, port = host.rpartition(":")
    has_port = port.isdecimal() and (name == "localhost" or "." in name or name.startswith("["))
    return not path and bool(host) and (bool(is_url or slash) or has_port)


def found_place(place: ImagePlace) -> ImagePlace:
    """Return where a place really is: Docker Hub has its images elsewhere than its name says, and names without one.

    Source: distribution/reference, ``ParseNormalizedNamed``.
    """
    if host_of(place.url) not in _HUB_NAMES:
        return place
    repository = place.repository if "/" in place.repository else f"library/{place.repository}"
    return ImagePlace(_HUB, repository, place.tag, place.digest)


def login_name_of(url: str) -> str:
    """Return the name under which docker keeps the credentials for a registry."""
    return _HUB_LOGIN if host_of(url) in _HUB_NAMES else host_of(url)


def registry_url(host: str) -> str:
    """The URL of a registry that is named by its host: HTTPS, but on the loopback, where docker tries HTTP too."""
    return host if "://" in host else _url("", host.rstrip("/"))


def host_of(url: str) -> str:
    """The host and the port of a URL, under which credentials are kept."""
    return url.partition("://")[2].partition("/")[0]


def is_same_registry(one: str, other: str) -> bool:
    """Return whether two URLs lead to one server: scheme, host and port. All names of the loopback are one host."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urllib.parse.urlsplit(url)
        host = "localhost" if is_loopback(parts.hostname or "") else parts.hostname
        return parts.scheme, host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, None, None


def _looks_like_a_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"


def _url(scheme: str, host: str) -> str:
    if not host:
        return ""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return f"{scheme or ('http' if is_loopback(name) else 'https')}://{host}"
