"""GitLab's API, ``/gitlab/v1/``: details of repositories and tags, lists, statistics.

It is there with a metadata database only; without one, 404 says so.

Source: GitLab features V1A-001 to V1A-031.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from moorage import __version__
from moorage.core.details import Details
from moorage.errors import TagInvalid
from moorage.gitlab_errors import PathTagInvalid, QueryValueInvalid, TagUnknown
from moorage.http.call import Call
from moorage.http.gitlab_v1 import gitlab_operations as rows
from moorage.http.gitlab_v1 import gitlab_parameters as parameters
from moorage.http.gitlab_v1 import gitlab_shapes as shapes
from moorage.http.operations import Handler, Operation
from moorage.metadata.aside import in_turns
from moorage.metadata.details import Referrer, TagEntry, TagPage, TagSelection
from moorage.metadata.import_records import ImportRecords
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.web.responses import Response

_IMPORTS_LIMIT = 1000
"""GitLab's registry has no limit; so many of the newest are shown."""


class GitLabHandlers:
    """Everything below ``/gitlab/v1/``."""

    def __init__(self, details: Details, imports: ImportRecords, *, rename: Handler) -> None:
        """*rename*: the handler of renames, which is a file of its own."""
        self._details = details
        self._imports = imports
        self._rename = rename

    @property
    def handlers(self) -> Mapping[Operation, Handler]:
        """The handler of each row of the table."""
        return {
            rows.BASE: self.base,
            rows.SHOW_REPOSITORY: self.repository,
            rows.RENAME_REPOSITORY: self._rename,
            rows.SHOW_TAG: self.tag,
            rows.LIST_TAGS: self.tags,
            rows.LIST_REPOSITORIES: self.repositories,
            rows.SHOW_STATISTICS: self.statistics,
            rows.REDIRECT: self.redirect,
            rows.REDIRECT_RENAME: self.redirect,
        }

    async def base(self, call: Call) -> Response:
        """``GET /gitlab/v1/``: this registry has this API."""
        del call
        return _answer({}, **rows.VERSION)

    async def redirect(self, call: Call) -> Response:
        """Send the client to the same path with a slash at its end."""
        _, mark, query = call.request.raw_path.partition("?")
        return Response(301, {"Location": f"{call.path}/{mark}{query}"})

    async def repository(self, call: Call) -> Response:
        """Answer with what is known of a repository; with its size if asked."""
        scope = parameters.size_scope(call.query.first("size"))
        return _answer(shapes.described(await self._details.repository(call.name, scope=scope)))

    async def tag(self, call: Call) -> Response:
        """Everything about one tag: its image, what an index refers to, configurations with their platforms."""
        try:
            tag = Tag.parse(call.target)
        except TagInvalid as exc:
            raise PathTagInvalid(exc.message, **exc.detail) from None
        return _answer(shapes.tag_details(call.name.text, await self._details.tag(call.name, tag)))

    async def tags(self, call: Call) -> Response:
        """Tags of a repository with their details, in pages that lead both ways."""
        asked = _tags_asked(call)
        if asked.exact:
            found = await self._details.tag_entry(call.name, asked.exact)
            page = TagPage([] if found is None else [found], has_before=False, has_after=False)
        else:
            page = await self._page(call, asked)
        referrers: Mapping[Digest, Sequence[Referrer]] = {}
        if asked.with_referrers:
            digests = [entry.digest for entry in page.items]
            referrers = await self._details.referrers(call.name, digests, artifact_types=asked.referrer_types)
        body = [shapes.tag_entry(entry, referrers.get(entry.digest, ())) async for entry in in_turns(page.items)]
        return _answer(body, **_links(call, asked, page))

    async def repositories(self, call: Call) -> Response:
        """Repositories that have a tag, at a path and below it, by name."""
        limit, last = parameters.limit(call.query.first("n")), call.query.first("last")
        after = "" if last is None else parameters.holding_a_tag(last, "last")
        page = await self._details.repositories(call.name, after=after, limit=limit)
        headers = {}
        # GitLab's registry gives a link whenever a page is full, also where nothing follows.
        if len(page.items) == limit:
            headers["Link"] = _link(call, {"last": page.items[-1].name.text, "n": str(limit)}, "next")
        return _answer([shapes.listed(item) for item in page.items], **headers)

    async def statistics(self, call: Call) -> Response:
        """Answer with this version, what it can do besides what the specification asks for, and imports."""
        del call
        release = {"ext_features": "tag_delete", "version": f"v{__version__}"}
        body: dict[str, object] = {"release": release, "database": {"enabled": True}}
        if imports := await self._imports.newest(_IMPORTS_LIMIT):
            body["import"] = [shapes.import_attempt(number, record) for number, record in imports]
        return _answer(body)

    async def _page(self, call: Call, asked: "_TagsAsked") -> TagPage:
        try:
            return await self._details.tags(call.name, asked.selection)
        except TagUnknown as exc:
            msg = "a list by time goes on from a tag that is there, or from a moment and a tag"
            raise QueryValueInvalid(msg, **exc.detail) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TagsAsked:
    """The parameters of a request for a list of tags."""

    selection: TagSelection
    exact: str
    sort: str
    with_referrers: bool
    referrer_types: Sequence[str]


def _tags_asked(call: Call) -> _TagsAsked:
    limit = parameters.limit(call.query.first("n"))
    last, before = call.query.first("last"), call.query.first("before")
    parameters.exclusive(("last", last), ("before", before))
    after_place, before_place = parameters.place(last, "last"), parameters.place(before, "before")
    part, exact = call.query.first("name"), call.query.first("name_exact")
    parameters.exclusive(("name", part), ("name_exact", exact))
    order, is_descending, sort = parameters.sort(call.query.first("sort"))
    return _TagsAsked(
        selection=TagSelection(
            limit=limit,
            order=order,
            descending=is_descending,
            after=after_place,
            before=before_place,
            containing=parameters.part_of_name(part),
        ),
        exact=parameters.holding_a_tag(exact, "name_exact") if exact else "",
        sort=sort,
        with_referrers=call.query.first("referrers") == "true",
        referrer_types=parameters.artifact_types(call.query.all("referrer_type")),
    )


def _links(call: Call, asked: _TagsAsked, page: TagPage) -> dict[str, str]:
    links = []
    if page.has_before:
        links.append(_tags_link(call, asked, "before", page.items[0]))
    if page.has_after:
        links.append(_tags_link(call, asked, "last", page.items[-1]))
    return {"Link": ", ".join(links)} if links else {}


def _tags_link(call: Call, asked: _TagsAsked, marker: str, entry: TagEntry) -> str:
    selection = asked.selection
    values = {
        marker: parameters.marker(entry, selection.order),
        "n": str(selection.limit),
        "name": selection.containing,
        "referrer_type": ",".join(asked.referrer_types),
        "referrers": "true" if asked.with_referrers else "",
        "sort": asked.sort,
    }
    return _link(call, values, "previous" if marker == "before" else "next")


def _link(call: Call, values: Mapping[str, str], relation: str) -> str:
    """One element of a ``Link``; its parameters, those that are not empty, in alphabetical order.

    Source: RFC 8288; GitLab features V1A-018.
    """
    query = urlencode(sorted((name, value) for name, value in values.items() if value))
    return f'<{call.path}?{query}>; rel="{relation}"'


def _answer(value: object, **headers: str) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(200, {"Content-Type": "application/json", **headers}, body)
