"""A request on its way through a server: its parsed parts, and the headers that every answer to it carries."""

from collections.abc import Mapping

from aiohttp.web_request import BaseRequest

from moorage.auth.access import EVERYTHING
from moorage.auth.addresses import Proxies, network_of
from moorage.web.query import QueryParameters
from moorage.web.responses import Response

_ON_THIS_MACHINE = Proxies()


class Request:
    """A request on its way. What authorization finds out is added to it."""

    def __init__(
        self,
        request: BaseRequest,
        identity: str,
        path: str,
        query: str,
        *,
        common: Mapping[str, str],
        proxies: Proxies = _ON_THIS_MACHINE,
    ) -> None:
        """*identity* is the request's id; *common* is what every answer to it carries besides."""
        self.request = request
        self.headers: Mapping[str, str] = request.headers
        self.id = identity
        self.path = path
        self.grant = EVERYTHING
        self._query = query
        self._parameters: QueryParameters | None = None
        self._common = common
        self._proxies = proxies

    @property
    def query(self) -> QueryParameters:
        """The query, parsed when it is first asked for.

        Raises:
            ParameterInvalid: it has far too many parameters.
        """
        if self._parameters is None:  # No cached_property: that of Python 3.11 takes a lock.
            self._parameters = QueryParameters.parse(self._query)
        return self._parameters

    @property
    def address(self) -> str:
        """The address that the request comes from: the other end, or what a proxy that is believed says of it."""
        return self._proxies.client_of(self.request.remote or "", self.request.headers.getall("X-Forwarded-For", []))

    @property
    def peer(self) -> str:
        """The other end of the connection, with its port. Source: ``RemoteAddr`` in Go's ``net/http``."""
        transport = self.request.transport
        end = None if transport is None else transport.get_extra_info("peername")
        if not isinstance(end, tuple):
            return self.request.remote or ""
        return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"

    @property
    def client(self) -> str:
        """The client that is counted as one: the one that the credentials name, else the network of the address."""
        grant = self.grant
        return f"{grant.actor_type} {grant.actor}" if grant.actor else f"from {network_of(self.address)}"

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Have every answer to this request carry these, too."""
        self._common = {**self._common, **headers}

    def finish(self, response: Response) -> None:
        """Add what every answer carries; before its head is written."""
        response.headers.update(self._common)
        response.request_id = self.id


def split_target(target: str) -> tuple[str, str]:
    """Return the path and the query that a request's first line asks for.

    Source: RFC 9112 § 3.2.
    """
    if not target.startswith("/"):  # The absolute form, which a proxy may send. Source: RFC 9112 § 3.2.2.
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query
