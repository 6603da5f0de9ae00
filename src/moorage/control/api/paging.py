"""Pages of lists as GitLab has them: numbered, with totals in headers, or by key, with a link to the next."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from pydantic import BeforeValidator, Field

from moorage.control.api.api_refusals import APIRefused
from moorage.control.api.cursors import START, CursorOrder
from moorage.control.api.parameters import ID_LIMIT, Given
from moorage.control.api.site_address import site_url

PER_PAGE = 20
PER_PAGE_LIMIT = 100
TOTAL_LIMIT = 10_000
"""Of longer lists the total is not said, as GitLab does, because it would be counted for every page."""
OFFSET_LIMIT = 50_000
"""A numbered page ends here at most: a database reads all that is before it. Source: GitLab's instance limits."""
CURSOR_LIMIT = 4096
_PAGE_LIMIT = 1 << 32
_GITLAB_KINDS = {"Namespace": "Group", "AuditEntry": "AuditEvent", "ImageRepository": "ContainerRepository"}

Row = TypeVar("Row", bound=Model)


def headers_of_longest(answers: Sequence[HttpResponse]) -> dict[str, str]:
    """Return the headers of the list that goes on for longest, of several whose pages are in one answer.

    Whoever follows them to the end has read all of the others too.
    """

    def length(answer: HttpResponse) -> tuple[bool, int]:
        return bool(answer["X-Next-Page"]), int(answer.headers.get("X-Total", TOTAL_LIMIT + 1))

    longest = max(answers, key=length)
    return {name: value for name, value in longest.headers.items() if name.startswith("X-") or name == "Link"}


def _or_default(default: int) -> Callable[[object], object]:
    return lambda value: default if value == "" else value


class NumberQuery(Given):
    """Parameters of a list that has numbered pages."""

    page: Annotated[
        int, BeforeValidator(_or_default(1)), Field(ge=1, le=_PAGE_LIMIT, description="Number of the page, from 1.")
    ] = 1
    per_page: Annotated[
        int, BeforeValidator(_or_default(PER_PAGE)), Field(ge=1, le=ID_LIMIT, description="Items a page: at most 100.")
    ] = PER_PAGE
    pagination: Literal["", "keyset", "offset", "legacy"] = Field(
        "", description="`keyset`: pages by key, with `Link`."
    )

    @property
    def size(self) -> int:
        """Items a page; what is more than the most counts as the most."""
        return min(self.per_page, PER_PAGE_LIMIT)


class PageQuery(NumberQuery):
    """Parameters of a list of rows, which has pages by number and by key."""

    cursor: Annotated[str, Field(max_length=CURSOR_LIMIT)] = Field(
        "", description="With keyset pagination: where the page begins, as the `Link` of the one before says."
    )


class KeysetQuery(PageQuery):
    """Parameters of a list whose order callers choose."""

    id_after: Annotated[int, Field(ge=0, le=ID_LIMIT)] | None = Field(None, description="Only ids above this.")
    id_before: Annotated[int, Field(ge=0, le=ID_LIMIT)] | None = Field(None, description="Only ids below this.")
    sort: Literal["asc", "desc"] | None = None


class Paging:
    """The pages of one answer: rows are cut, and headers set."""

    def __init__(self, request: HttpRequest, response: HttpResponse) -> None:
        self._request = request
        self._response = response

    def page(self, rows: QuerySet[Row], query: PageQuery, *, first: Sequence[Row] = ()) -> list[Row]:
        """Return a page of *first* and then *rows*, which are in an order: by number or by key, as the caller asks.

        Raises:
            APIRefused: the page is too far for a number, or its cursor is none.
        """
        return (
            self._after(rows, query, first) if query.pagination == "keyset" else self.numbered(rows, query, first=first)
        )

    def ordered(self, rows: QuerySet[Row], query: KeysetQuery, order_by: str) -> list[Row]:
        """Return a page of *rows* in the order that the caller chose.

        Raises:
            APIRefused: as above.
        """
        if query.id_after is not None:
            rows = rows.filter(pk__gt=query.id_after)
        if query.id_before is not None:
            rows = rows.filter(pk__lt=query.id_before)
        minus = "-" if query.sort == "desc" else ""
        # The id makes an order of rows that are otherwise equal, so that none is on two pages.
        return self.page(rows.order_by(f"{minus}{order_by}", f"{minus}pk"), query)

    def see_that_near(self, query: NumberQuery, kind: str) -> None:
        """See that a numbered page is not too far. Source: GitLab's lib/api/helpers/pagination_strategies.rb.

        Raises:
            APIRefused: it is; *kind* is what is listed.
        """
        if query.page * query.size > OFFSET_LIMIT:
            text = f"Offset pagination has a maximum allowed offset of {OFFSET_LIMIT} for requests that return"
            text = f"{text} objects of type {kind}. Remaining records can be retrieved using keyset pagination."
            raise APIRefused(405, {"error": text})

    def numbered(self, rows: QuerySet[Row], query: NumberQuery, *, first: Sequence[Row] = ()) -> list[Row]:
        """Return a page of *first* and then *rows* by its number.

        Raises:
            APIRefused: the page is too far.
        """
        self.see_that_near(query, _GITLAB_KINDS.get(rows.model.__name__, rows.model.__name__))
        start = (query.page - 1) * query.size
        total = len(first) + rows.order_by()[: TOTAL_LIMIT + 1].count()
        found = list(first[start : start + query.size + 1])
        start, end = (max(0, at - len(first)) for at in (start, start + query.size + 1))
        found += list(rows[start:end]) if start < end else []
        self.set_headers(query, total, has_next=len(found) > query.size)
        return found[: query.size]

    def _after(self, rows: QuerySet[Row], query: PageQuery, first: Sequence[Row]) -> list[Row]:
        order, size = CursorOrder.of(rows), query.size
        found = [] if query.cursor else list(first[: size + 1])
        if query.cursor:
            rows = order.after(rows, query.cursor)
        is_first_all = len(found) >= size
        found += order.ordered(rows)[: size + 1 - len(found)]
        if len(found) > size:
            self.link({"cursor": START if is_first_all else order.cursor(found[size - 1])})
        self._response["X-Per-Page"] = str(size)
        return found[:size]

    def set_headers(self, query: NumberQuery, total: int, *, has_next: bool) -> None:
        """Set the headers of a numbered page of *total* items; a long list's total is not said."""
        if total > TOTAL_LIMIT:
            self._set_place(query, has_next=has_next)
            return
        pages = max(1, -(-total // query.size))
        self._response["X-Total"] = str(total)
        self._response["X-Total-Pages"] = str(pages)
        self._set_place(query, has_next=query.page < pages, pages=pages)

    def _set_place(self, query: NumberQuery, *, has_next: bool, pages: int | None = None) -> None:
        """Set what says where a page is. *pages*: how many there are; None: too many to be counted."""
        following = str(query.page + 1) if has_next else ""
        before = str(min(query.page - 1, pages or query.page)) if query.page > 1 else ""
        values = {
            "X-Page": str(query.page),
            "X-Per-Page": str(query.size),
            "X-Next-Page": following,
            "X-Prev-Page": before,
        }
        for name, value in values.items():
            self._response[name] = value
        links = [("prev", before), ("next", following), ("first", "1"), ("last", str(pages or ""))]
        self._response["Link"] = ", ".join(
            f'<{self._url({"page": page, "per_page": str(query.size)})}>; rel="{rel}"' for rel, page in links if page
        )

    def link(self, changes: dict[str, str]) -> None:
        """Set the link to the next page by key: this one's address with *changes*."""
        self._response["Link"] = f'<{self._url(changes)}>; rel="next"'

    def _url(self, changes: dict[str, str]) -> str:
        parameters = self._request.GET.copy()  # With each value of those that are there more than once.
        for name, value in changes.items():
            parameters[name] = value
        # A slash inside a segment is %2F in the path already, and has to stay so.
        path = quote(self._request.path, safe="/%")
        return f"{site_url(self._request)}{path}?{parameters.urlencode()}"
