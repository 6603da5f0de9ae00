"""URLs of this registry as its clients see them: behind proxies, below a prefix, absolute or relative."""

import re
from collections.abc import Mapping
from functools import lru_cache

from moorage.errors import ParameterInvalid
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_HOST = re.compile(r"[A-Za-z0-9._~\[\]:%-]{0,255}", re.ASCII)
_SCHEMES = ("http", "https")


_REMEMBERED_LENGTH = 256


@lru_cache(maxsize=256)
def _is_host(text: str) -> bool:
    """The same few are sent again and again."""
    return _HOST.fullmatch(text) is not None


def check_host(headers: Mapping[str, str]) -> None:
    """Refuse a ``Host`` that is none: what is built from it goes back to clients.

    Raises:
        ParameterInvalid: it is there and malformed.

    Source: RFC 9112 § 3.2.
    """
    host = headers.get("Host")
    if host is not None and not (_is_host(host) if len(host) <= _REMEMBERED_LENGTH else _HOST.fullmatch(host)):
        msg = "the Host header is malformed"
        raise ParameterInvalid(msg)


class Urls:
    """Builds ``Location`` values.

    Source: distribution-spec § Pushing blobs; GitLab features HTP-009.
    """

    def __init__(self, *, host: str = "", prefix: str = "/", relative: bool = False) -> None:
        """*host* is ``http.host``, *prefix* ``http.prefix``, *relative* ``http.relativeurls``."""
        self._host = host.rstrip("/")
        self.prefix = prefix
        self._relative = relative

    def blob(self, headers: Mapping[str, str], scheme: str, name: RepositoryName, digest: Digest) -> str:
        """Return the URL from which a blob can be pulled."""
        return f"{self._base(headers, scheme)}v2/{name}/blobs/{digest}"

    def manifest(self, headers: Mapping[str, str], scheme: str, name: RepositoryName, digest: Digest) -> str:
        """Return the URL from which a manifest can be pulled."""
        return f"{self._base(headers, scheme)}v2/{name}/manifests/{digest}"

    def upload(self, headers: Mapping[str, str], scheme: str, name: RepositoryName, session: str) -> str:
        """Return the URL at which an upload goes on."""
        return f"{self._base(headers, scheme)}v2/{name}/blobs/uploads/{session}"

    def _base(self, headers: Mapping[str, str], scheme: str) -> str:
        if self._relative:
            return self.prefix
        if self._host:
            return f"{self._host}{self.prefix}"
        host = headers.get("Host", "")
        if not ("Forwarded" in headers or "X-Forwarded-Proto" in headers or "X-Forwarded-Host" in headers):
            return (_base_of if len(host) > _REMEMBERED_LENGTH else _remembered_base)(scheme, host, self.prefix)
        forwarded = _forwarded(headers.get("Forwarded", ""))
        scheme = forwarded.get("proto") or _first(headers.get("X-Forwarded-Proto", "")) or scheme
        host = forwarded.get("host") or _first(headers.get("X-Forwarded-Host", "")) or host
        return _base_of(scheme, host, self.prefix)


def _base_of(scheme: str, host: str, prefix: str) -> str:
    if scheme.lower() not in _SCHEMES or not host or _HOST.fullmatch(host) is None:
        return prefix  # Nonsense from outside is not repeated; a relative URL is always right.
    return f"{scheme.lower()}://{host}{prefix}"


_remembered_base = lru_cache(maxsize=256)(_base_of)


def _first(value: str) -> str:
    return value.partition(",")[0].strip()


def _forwarded(value: str) -> dict[str, str]:
    """The first element of a ``Forwarded`` header. Source: RFC 7239."""
    pairs = (pair.partition("=") for pair in _first(value).split(";"))
    return {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs}
