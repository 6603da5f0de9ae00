"""One request on its way through: what was parsed of it, and what its handler needs besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs

from aiohttp import web
from multidict import CIMultiDict

from moorage.auth.access import Grant
from moorage.errors import ParameterInvalid
from moorage.http.urls import Urls
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_FIELD_LIMIT = 1000


@dataclass(slots=True)
class Query:
    """The query of a request: every parameter may be there several times."""

    values: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, text: str) -> "Query":
        """Read a query string.

        Raises:
            ParameterInvalid: it has far too many parameters.
        """
        if not text:
            return _NO_QUERY
        try:
            return cls(parse_qs(text, keep_blank_values=True, max_num_fields=_FIELD_LIMIT))
        except ValueError:
            msg = f"a query has at most {_FIELD_LIMIT} parameters"
            raise ParameterInvalid(msg) from None

    def first(self, name: str) -> str | None:
        """The first value of a parameter; None if it is not there."""
        values = self.values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> Sequence[str]:
        """Every value of a parameter."""
        return self.values.get(name, ())


_NO_QUERY = Query({})


@dataclass
class Call:
    """A request after routing and authorization. ``target`` is the last part of its path, not yet parsed."""

    request: web.BaseRequest
    path: str
    query: Query
    target: str
    urls: Urls
    repository: RepositoryName | None = None
    grant: Grant = field(init=False)

    @property
    def name(self) -> RepositoryName:
        """The repository of the path."""
        assert self.repository is not None, "the route has no repository"  # noqa: S101 - a route table's mistake
        return self.repository

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""
        return self.request.headers

    def blob_url(self, digest: Digest) -> str:
        """Where the client can pull a blob of this repository."""
        return self.urls.blob(self.headers, self.request.scheme, self.name, digest)

    def manifest_url(self, digest: Digest) -> str:
        """Where the client can pull a manifest of this repository."""
        return self.urls.manifest(self.headers, self.request.scheme, self.name, digest)

    def upload_url(self, session: str) -> str:
        """Where the client can go on with an upload to this repository."""
        return self.urls.upload(self.headers, self.request.scheme, self.name, session)


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> web.Response:
    """A whole response, small enough to be held."""
    return web.Response(status=status, headers=CIMultiDict(headers or {}), body=body)
