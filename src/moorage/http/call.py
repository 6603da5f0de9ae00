"""One request on its way through: what was parsed of it, and what its handler needs besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qs

from aiohttp import web

from moorage.auth.access import EVERYTHING
from moorage.auth.addresses import is_loopback, network_of
from moorage.errors import BodyLate, ParameterInvalid
from moorage.http.errors import render
from moorage.http.responses import Response
from moorage.http.urls import Urls
from moorage.metadata.base import Cause
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_FIELD_LIMIT = 1000

_ADDRESS_LIMIT = 45

_REASON_LIMIT = 500
"""Characters of the header ``Moorage-Reason``, in which a client may say why it changes something."""


@dataclass(slots=True)
class QueryParameters:
    """The query of a request: every parameter may be there several times."""

    values: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, text: str) -> "QueryParameters":
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


_CLIENT_GONE = 499
"""For the log only; nobody is there to read it."""

_NO_QUERY = QueryParameters({})


class Call:
    """A request on its way. What routing and authorization find out is added to it."""

    def __init__(
        self, request: web.BaseRequest, identity: str, path: str, query: str, *, urls: Urls, common: Mapping[str, str]
    ) -> None:
        """*identity* is the request's id; *common* is what every answer to it carries."""
        self.request = request
        self.headers: Mapping[str, str] = request.headers
        self.id = identity
        self.path = path
        self.target = ""
        """The last part of the path, not yet parsed."""
        self.repository: RepositoryName | None = None
        self.has_odd_name = False
        """See :attr:`moorage.http.routes.Route.is_odd`."""
        self.grant = EVERYTHING
        self._query = query
        self._urls = urls
        self._common = common

    @cached_property
    def query(self) -> QueryParameters:
        """The query, parsed when somebody asks.

        Raises:
            ParameterInvalid: it has far too many parameters.
        """
        return QueryParameters.parse(self._query)

    @property
    def address(self) -> str:
        """The address that the request comes from: the other end, or what a proxy on this machine says of it."""
        remote = self.request.remote or ""
        if remote and not is_loopback(remote):
            return remote
        # The last one of the last line: the proxy has added it, while the client may have sent any before.
        lines = self.request.headers.getall("X-Forwarded-For", [""])
        forwarded = lines[-1].rpartition(",")[2].strip()
        return forwarded[:_ADDRESS_LIMIT] or remote

    @property
    def client(self) -> str:
        """The client that is counted as one: the one that the credentials name, else the network of the address."""
        grant = self.grant
        return f"{grant.actor_type} {grant.actor}" if grant.actor else f"from {network_of(self.address)}"

    def finish(self, response: Response) -> None:
        """Add what every answer carries; before its head is written."""
        response.headers.update(self._common)

    @property
    def cause(self) -> Cause:
        """The caller who changes something by this request, and the reason, for the journal."""
        said = self.headers.get("Moorage-Reason") or f"{self.request.method} {self.path}"
        return Cause(actor=self.grant.actor, request_id=self.id, reason=said[:_REASON_LIMIT])

    @property
    def name(self) -> RepositoryName:
        """The repository of the path."""
        assert self.repository is not None, "the route has no repository"  # noqa: S101 - a route table's mistake
        return self.repository

    def blob_url(self, digest: Digest) -> str:
        """Return the URL from which the client can pull a blob of this repository."""
        return self._urls.blob(self.headers, self.request.scheme, self.name, digest)

    def manifest_url(self, digest: Digest) -> str:
        """Return the URL from which the client can pull a manifest of this repository."""
        return self._urls.manifest(self.headers, self.request.scheme, self.name, digest)

    def upload_url(self, session: str) -> str:
        """Return the URL at which the client can go on with an upload to this repository."""
        return self._urls.upload(self.headers, self.request.scheme, self.name, session)


def gone(call: Call) -> Response:
    """The end of a request whose client hung up, or did not send or take bytes in time and may still be there."""
    transport = call.request.transport
    if transport is None or transport.is_closing():
        response = Response(_CLIENT_GONE)
    else:
        response = render(BodyLate("the body did not come in time; send the request again"))
    response.force_close()
    return response


def has_gone(call: Call, exc: Exception) -> bool:
    """Return whether a request failed because its client is gone; then the code that wrote to it made no mistake."""
    transport = call.request.transport
    return isinstance(exc, OSError) and (transport is None or transport.is_closing())
