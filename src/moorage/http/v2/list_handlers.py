"""Lists and the base: end-1, end-8, end-12 and the catalogue."""

import json
import sys
from collections.abc import Sequence

from moorage import __version__
from moorage.core.manifests import Manifests
from moorage.errors import NameUnknown, ParameterInvalid
from moorage.http.call import Call
from moorage.metadata.base import CatalogueStore
from moorage.oci.digests import Digest
from moorage.oci.json_documents import write_json
from moorage.oci.manifests import Descriptor
from moorage.oci.mediatypes import OCI_INDEX
from moorage.oci.names import RepositoryName
from moorage.web.headers import is_whole, next_link, page_size
from moorage.web.responses import Response
from moorage.work.large_payloads import in_its_turn

CATALOGUE_PAGE = 100
CATALOGUE_LIMIT = 1000
"""The most a client may ask for where ``catalog.maxentries`` says nothing else. Source: GitLab features V2A-002."""

REFERRERS_LIMIT = 1000

_INLINE_PARTS = 500
"""Descriptors and annotations that are written as JSON on the event loop; more are beside it."""

_COMPACT = (",", ":")
_JSON = {"Content-Type": "application/json"}


class ListingHandlers:
    """Everything that answers with a list."""

    def __init__(
        self,
        catalogue: CatalogueStore,
        manifests: Manifests,
        *,
        has_database: bool = False,
        catalogue_limit: int = CATALOGUE_LIMIT,
        tags_limit: int = 0,
    ) -> None:
        """*catalogue_limit* is ``catalog.maxentries``, *tags_limit* ``tags.maxtags``."""
        self._tags_limit = tags_limit or sys.maxsize
        self._catalogue_limit = catalogue_limit
        self._catalogue = catalogue
        self._manifests = manifests
        self._has_database = has_database

    async def alive(self, call: Call) -> Response:
        """``GET /``: for load balancers, no credentials needed."""
        del call
        return Response(200, {"Cache-Control": "no-cache"})

    async def base(self, call: Call) -> Response:
        """``GET /v2/``: this is a registry, and which (end-1)."""
        del call
        headers = {
            **_JSON,
            "Gitlab-Container-Registry-Version": __version__,
            "Gitlab-Container-Registry-Features": "tag_delete",
            "Gitlab-Container-Registry-Database-Enabled": str(self._has_database).lower(),
        }
        return Response(200, headers, b"{}")

    async def check_stored(self, name: RepositoryName) -> None:
        """Allow a name outside the grammar if such a repository is here: another registry may have made it.

        Raises:
            NameInvalid: there is none.
        """
        try:
            await self._catalogue.tags(name, after="", limit=0)
        except NameUnknown:
            RepositoryName.parse(name.text)

    async def catalogue(self, call: Call) -> Response:
        """Repositories, by name (``/v2/_catalog``)."""
        limit, last = _catalogue_limit(call, self._catalogue_limit), call.query.first("last") or ""
        if limit == 0:
            return Response(200, dict(_JSON), b'{"repositories":[]}')
        page = await self._catalogue.repositories(after=last, limit=limit)
        names = [name.text for name in page.items]
        headers = dict(_JSON)
        if page.more:
            headers["Link"] = next_link(call.path, [("last", names[-1]), ("n", str(limit))])
        return Response(200, headers, _dump({"repositories": names}))

    async def tags(self, call: Call) -> Response:
        """Tags of a repository, by name (end-8a, end-8b)."""
        limit, last = _page_limit(call, sys.maxsize), call.query.first("last") or ""
        limit = None if limit is None else min(limit, self._tags_limit)  # The client sees that there are more.
        page = await self._catalogue.tags(call.name, after=last, limit=limit)
        tags = [tag.text for tag in page.items]
        headers = dict(_JSON)
        if page.more and tags:
            headers["Link"] = next_link(call.path, [("last", tags[-1]), ("n", str(limit))])
        return Response(200, headers, _dump({"name": call.name.text, "tags": tags}))

    async def referrers(self, call: Call) -> Response:
        """Manifests that have this one as their subject, as an index (end-12a, end-12b)."""
        subject = Digest.parse(call.target)
        limit = _page_limit(call, REFERRERS_LIMIT)
        artifact_type, last = call.query.first("artifactType") or None, call.query.first("last") or ""
        page = await self._manifests.referrers(
            call.name, subject, artifact_type=artifact_type, after=last, limit=limit or REFERRERS_LIMIT
        )
        headers = {"Content-Type": OCI_INDEX}
        if artifact_type is not None:
            headers["OCI-Filters-Applied"] = "artifactType"
        if page.more:
            following = [("last", str(page.items[-1].digest)), ("n", str(limit or REFERRERS_LIMIT))]
            if artifact_type is not None:
                following.append(("artifactType", artifact_type))
            headers["Link"] = next_link(call.path, following)
        if _parts(page.items) > _INLINE_PARTS:
            return Response(200, headers, await in_its_turn(_index_of, page.items))
        return Response(200, headers, _index_of(page.items))


def _catalogue_limit(call: Call, most: int) -> int:
    """The catalogue's page size; nonsense is the default, as GitLab has it, and more than *most* is refused."""
    text = call.query.first("n")
    if not is_whole(text):
        return min(CATALOGUE_PAGE, most)
    # The length first: turning a million digits into a number takes a while.
    if len(text) > 20 or int(text) > most:  # noqa: PLR2004 - digits of the largest 64-bit number
        msg = f"n must be no larger than {most}"
        raise ParameterInvalid(msg, reason="PAGINATION_NUMBER_INVALID")
    return int(text)


def _index_of(items: Sequence[Descriptor]) -> bytes:
    manifests = [descriptor.to_json() for descriptor in items]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return write_json(index, parts=_parts(items), separators=_COMPACT).encode()


def _page_limit(call: Call, most: int) -> int | None:
    """The page size of a list of tags or referrers; None without a number, or with nonsense, as in the catalogue."""
    values = call.query.all("n")
    return page_size(values, limit=most) if values and is_whole(values[0]) else None


def _parts(items: Sequence[Descriptor]) -> int:
    return sum(1 + len(descriptor.annotations) for descriptor in items)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=_COMPACT).encode()
