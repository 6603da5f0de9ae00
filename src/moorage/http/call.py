"""One request to the registry: what routing finds out of it, and what its handler needs besides."""

from collections.abc import Mapping
from functools import partial

from aiohttp.web_request import BaseRequest

from moorage.auth.addresses import Proxies
from moorage.http.urls import Urls
from moorage.metadata.base import Cause
from moorage.notifications.events import SILENT, Announcer, Audience, Occasion
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.web.request import Request

_REASON_LIMIT = 500
"""Characters of the header ``Moorage-Reason``, in which a client may say why it changes something."""


class Call(Request):
    """A request to the registry. What routing finds out is added to it."""

    def __init__(
        self,
        request: BaseRequest,
        identity: str,
        path: str,
        query: str,
        *,
        urls: Urls,
        common: Mapping[str, str],
        proxies: Proxies,
        audience: Audience | None = None,
    ) -> None:
        """*identity* is the request's id; *common* is what every answer carries; *audience* hears of what it does."""
        super().__init__(request, identity, path, query, common=common, proxies=proxies)
        self.target = ""
        """The last part of the path, not yet parsed."""
        self.route = ""
        """The path of the endpoint, as the reference shows it; empty until it is found."""
        self.repository: RepositoryName | None = None
        self.has_odd_name = False
        """See :attr:`moorage.http.operations.Route.is_odd`."""
        self._urls = urls
        self._audience = audience
        self._announcer: Announcer | None = None

    @property
    def cause(self) -> Cause:
        """The caller who changes something by this request, and the reason, for the journal."""
        said = self.headers.get("Moorage-Reason") or f"{self.request.method} {self.path}"
        return Cause(actor=self.grant.actor, request_id=self.id, reason=said[:_REASON_LIMIT], announcer=self.announcer)

    @property
    def announcer(self) -> Announcer:
        """Makes the notices of what this request does. To be asked for once the credentials are known."""
        if self._announcer is None:
            self._announcer = SILENT if self._audience is None else self._announcer_for(self._audience)
        return self._announcer

    def _announcer_for(self, audience: Audience) -> Announcer:
        grant, scheme, headers = self.grant, self.request.scheme, self.headers
        told = {"name": grant.actor, "user_type": grant.actor_type, "user": grant.user_token}
        occasion = Occasion(
            request={
                "id": self.id,
                "addr": self._shown_address(),
                "host": _readable(headers.get("Host", "")),
                "method": self.request.method,
                "useragent": _readable(headers.get("User-Agent", "")),
            },
            actor={key: value for key, value in told.items() if value},
            blob_url=partial(self._urls.blob, headers, scheme),
            manifest_url=partial(self._urls.manifest, headers, scheme),
        )
        return Announcer(audience, occasion)

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

    def _shown_address(self) -> str:
        """The client's address; with its port if no proxy is in between.

        Source: ``RemoteAddr`` in GitLab's registry.
        """
        return self.peer if self.address == self.request.remote else self.address


def _readable(text: str) -> str:
    """Text of a header as any receiver can read it: a client may send bytes that are no characters."""
    return text.encode("utf-8", "replace").decode()
