"""Pages about room: what the instance, a group and a project take now and took before, and quotas."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Q, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from moorage.control.api.api_refusals import unauthorized
from moorage.control.api.lookups import FoundGroup, FoundProject
from moorage.control.namespaces.choosing import any_of, below
from moorage.control.pages.charts import MapItem, size_line, treemap
from moorage.control.pages.instance_forms import QuotaForm
from moorage.control.pages.key_pages import PLAIN_ROWS, ListOrder, key_page
from moorage.control.pages.page_answers import done
from moorage.control.pages.place_pages import place_context
from moorage.control.pages.places import place_at
from moorage.control.pages.views.administration import administrator_of
from moorage.control.usage.changes import change_quota
from moorage.control.usage.models import DailyUsage, UsagePlace, UsagePlaces
from moorage.control.usage.questions import usage_of

DAYS = 90
GROWTH = timedelta(days=30)
MAPPED = 40
"""Areas of a treemap; the others are one."""
_KINDS = {"projects": "project", "namespaces": "namespace"}


class GrownPlace(NamedTuple):
    """A place with the part by which it has grown in 30 days, in per cent."""

    place: UsagePlace
    growth: int | None
    """None: it has no size from then."""
    share: float
    """Of the largest on the page, in per cent."""


@require_safe
def show_usage(request: HttpRequest) -> HttpResponse:
    """Show what each project or namespace of the instance takes."""
    administrator_of(request)
    kind = request.GET.get("by", "projects")
    kind = kind if kind in _KINDS else "projects"
    rows = _rows(kind)
    word = _KINDS[kind]
    orders = (ListOrder(word="-size", field="size_bytes"), ListOrder(word="name", field=f"{word}__full_path"))
    page = key_page(request, rows, orders, size=PLAIN_ROWS)
    context = {
        "section": "admin",
        "tab": "usage",
        "by": kind,
        "page": page,
        "rows": _grown(page.rows),
        "areas": treemap(_items(rows)),
        "measured": rows.order_by("-measured_at").values_list("measured_at", flat=True).first(),
    }
    return render(request, "pages/admin/usage.html", context)


@require_safe
def export_usage(request: HttpRequest) -> StreamingHttpResponse:
    """Send all rows of the page as CSV."""
    administrator_of(request)
    kind = request.GET.get("by", "projects")
    kind = kind if kind in _KINDS else "projects"
    answer = StreamingHttpResponse(_lines(_rows(kind)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="usage-{kind}.csv"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
def show_usage_of(request: HttpRequest, place: str) -> HttpResponse:
    """Show what a project or a group takes, took on each day, and may take; administrators change the last."""
    found = place_at(request, place)
    if found.who.is_anonymous:
        raise unauthorized()
    found.see_that_maintainer()
    target = found.project if isinstance(found, FoundProject) else found.group
    row = usage_of(target)
    is_admin = found.standing.is_admin
    form = QuotaForm(request.POST if request.method == "POST" else None, initial=QuotaForm.values_of(row))
    if request.method == "POST":
        administrator_of(request)
        if form.is_valid() and form.carries_out(lambda: change_quota(target, by=found.who.as_actor(), **form.values())):
            return done(request, _("The quota is saved."), f"/{target.full_path}/-/usage")
    days = _days_of(row)
    context = place_context(found, "usage") | {
        "usage": row,
        "days": days[::-1],
        "line": size_line([(day.day, day.size_bytes) for day in days]),
        "fullest": _fullness(row),
        "form": form if is_admin else None,
        "areas": treemap(_items(_projects_in(found))) if isinstance(found, FoundGroup) else [],
    }
    return render(request, "pages/usage.html", context, status=400 if form.errors else 200)


def _rows(kind: str) -> UsagePlaces:
    rows: UsagePlaces = UsagePlace.objects.filter(**{f"{_KINDS[kind]}__isnull": False}, size_bytes__isnull=False)
    return rows.select_related("project__namespace", "namespace")


def _projects_in(found: FoundGroup) -> UsagePlaces:
    rows = any_of(UsagePlace.objects.all(), [below(found.group.lineage, "project__namespace__lineage")])
    return rows.select_related("project")


def _items(rows: UsagePlaces) -> list[MapItem]:
    """The largest, and one item for all others."""
    largest = list(rows.filter(size_bytes__gt=0).order_by("-size_bytes", "pk")[: MAPPED + 1])
    shown = largest[:MAPPED]
    items = [_item(row) for row in shown]
    if len(largest) > MAPPED:
        left = rows.exclude(pk__in=[row.pk for row in shown]).aggregate(left=Sum("size_bytes"))["left"] or 0
        items.append(MapItem(_("others"), "", left, "\N{HORIZONTAL ELLIPSIS}"))
    return items


def _item(row: UsagePlace) -> MapItem:
    path = row.place.full_path
    return MapItem(path, f"/{path}", row.size_bytes or 0, path.partition("/")[0])


def _grown(rows: Sequence[UsagePlace]) -> list[GrownPlace]:
    """Rows with their growth, in one query."""
    then = timezone.now().date() - GROWTH
    near = DailyUsage.objects.filter(place__in=[row.pk for row in rows], day__range=(then - timedelta(days=7), then))
    before = dict(near.order_by("day").values_list("place_id", "size_bytes"))  # The newest of them stays.
    most = max((row.size_bytes or 0 for row in rows), default=0)
    return [
        GrownPlace(row, _growth(before.get(row.pk), row.size_bytes or 0), 100 * (row.size_bytes or 0) / (most or 1))
        for row in rows
    ]


def _growth(before: int | None, now: int) -> int | None:
    return round(100 * (now - before) / before) if before else None


def _days_of(row: UsagePlace) -> list[DailyUsage]:
    """The last days, the oldest first."""
    since = timezone.now().date() - timedelta(days=DAYS)
    return list(DailyUsage.objects.filter(Q(place_id=row.pk), day__gte=since).order_by("day"))


def _fullness(row: UsagePlace) -> list[tuple[str, int, float]]:
    """Each quota with how full it is, in per cent."""
    limits = ((_("Soft quota"), row.soft_bytes), (_("Hard quota"), row.hard_bytes))
    size = row.size_bytes or 0
    return [
        (name, limit, min(100.0, 100 * size / limit) if limit else 100.0) for name, limit in limits if limit is not None
    ]


class _Echo:
    """A file that gives back what is written."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: UsagePlaces) -> Iterator[str]:
    writer = csv.writer(_Echo())
    heads: Iterable[object] = ("path", "size_bytes", "measured_at", "soft_bytes", "hard_bytes", "quota_state")
    yield str(writer.writerow(heads))
    for row in rows.order_by("-size_bytes", "pk").iterator(chunk_size=1000):
        measured = row.measured_at.isoformat() if row.measured_at else ""
        values = (row.place.full_path, row.size_bytes, measured, row.soft_bytes, row.hard_bytes, row.state.value)
        yield str(writer.writerow(["" if value is None else value for value in values]))
