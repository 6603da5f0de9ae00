"""A project's cleanup policy: its form with a preview, and the reports of its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.api.lookups import FoundProject
from moorage.control.api.policy_shapes import policy_or_defaults
from moorage.control.images.models import ImageRepository
from moorage.control.pages.charts import TwoLines, two_lines
from moorage.control.pages.key_pages import ROWS, ListOrder, key_page
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.place_pages import project_context
from moorage.control.pages.places import maintained_project_at
from moorage.control.pages.project_forms import CleanupForm
from moorage.control.policies.changes import change_policy, run_now
from moorage.control.policies.models import CleanupPolicy, CleanupRun
from moorage.control.policies.past_sizes import past_sizes
from moorage.control.policies.patterns import PatternUnusable
from moorage.control.policies.previews import CleanupPreview, preview_cleanup
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.registry_errors import RegistryError

PREVIEWED = 10
"""Repositories of a preview."""
PICTURED = 5
"""Repositories of a picture of the past."""
TAGS_SHOWN = 50
DAYS_SHOWN = 14
"""More days than these stand a week apart in the table below the picture."""
_NEWEST = (ListOrder(word="-started", field="started_at"),)
_FIELDS = ("enabled", "cadence", "keep_n", "older_than", "name_regex", "name_regex_keep")

gettext_noop("no rule keeps it")
gettext_noop("the tag latest is always kept")
gettext_noop("its name is not one of those that are removed")
gettext_noop("its name is one of those that are kept")
gettext_noop("its manifest is missing")
gettext_noop("it is one of the most recent")
gettext_noop("it is not old enough")
gettext_noop("its age is not known")
gettext_noop("a protection rule covers it")
gettext_noop("it is immutable")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPreview:
    """The preview of one repository, the tags that go first."""

    repository: ImageRepository
    preview: CleanupPreview | None
    """None: the registry does not answer."""

    @property
    def verdicts(self) -> list[tuple[str, bool, str]]:
        """Tags with whether they go, and why."""
        if self.preview is None:
            return []
        ordered = sorted(self.preview.judged.verdicts, key=lambda tag: (not tag.is_deleted, tag.name))
        return [(tag.name, tag.is_deleted, _(tag.explanation)) for tag in ordered[:TAGS_SHOWN]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPicture:
    """The size of a project in the past, and as it would have been under a policy."""

    lines: TwoLines | None
    """None: not enough is known."""
    days: Sequence[tuple[date, int, int]]
    """Some days with both sizes, the newest first."""
    left_out: Sequence[str]
    """Repositories that are not in it: they have too many images, or the registry does not tell."""
    forgotten: int
    """The number of images whose size is not known any more."""
    is_part: bool
    """True if there are more repositories."""


@require_http_methods(["GET", "HEAD", "POST"])
def change_cleanup(request: HttpRequest, place: str) -> HttpResponse:
    """Show the policy, what it would do, and its runs; change it."""
    found = maintained_project_at(request, place)
    policy = policy_or_defaults(found.project)
    first = {name: getattr(policy, name) for name in _FIELDS}
    is_picture = request.method != "POST" and "picture" in request.GET
    is_preview = is_picture or (request.method != "POST" and "preview" in request.GET)
    sent = request.POST if request.method == "POST" else request.GET if is_preview else None
    form = CleanupForm(sent, initial=first)
    if form.is_valid():
        if not is_preview:
            if form.carries_out(lambda: change_policy(found.project, by=found.who.as_actor(), **form.values())):
                return done(request, _("The policy is saved."), f"/{found.project.full_path}/-/cleanup")
        else:
            for name, value in form.values().items():
                setattr(policy, name, value)
            if problems := policy.selection.problems():
                form.take_refusal(ChangeRefused(problems))
    runs = CleanupRun.objects.filter(project=found.project)
    context = project_context(found, "cleanup") | {
        "form": form,
        "policy": policy,
        "is_preview": is_preview,
        "previews": _previews(found, policy) if is_preview and form.is_valid() else [],
        "page": key_page(request, runs, _NEWEST, size=ROWS),
        "picture": _picture(found, policy) if is_picture and form.is_valid() else None,
    }
    return render(request, "pages/cleanup.html", context, status=400 if form.errors and not is_preview else 200)


@require_POST
def run_cleanup(request: HttpRequest, place: str) -> HttpResponse:
    """Have the policy run as soon as a worker is free."""
    found = maintained_project_at(request, place)
    address = f"/{found.project.full_path}/-/cleanup"
    try:
        run_now(found.project, by=found.who.as_actor())
    except ChangeRefused:
        return not_done(request, _("The policy is off."), address)
    return done(request, _("It runs within a minute. Its report will stand below."), address)


@require_safe
def show_run(request: HttpRequest, place: str, run: int) -> HttpResponse:
    """Show the report of a run."""
    found = maintained_project_at(request, place)
    row = get_object_or_404(
        CleanupRun.objects.select_related("repository__project", "undo"), project=found.project, pk=run
    )
    context = project_context(found, "cleanup") | {
        "run": row,
        "undo": getattr(row, "undo", None),
        "page": key_page(request, row.deleted_tags.all(), (ListOrder(word="name", field="name"),), size=100),
    }
    return render(request, "pages/cleanup_run.html", context)


def _picture(found: FoundProject, policy: CleanupPolicy) -> PastPicture:
    """The size of the project in the past, and as it would have been; what does not answer is left out and named."""
    left_out, forgotten, days = list[str](), 0, dict[date, tuple[int, int]]()
    rows = ImageRepository.objects.of_project(found.project).select_related("project").order_by("name")
    for row in rows[:PICTURED]:
        try:
            past = past_sizes(row, policy.selection, now=timezone.now())
        except (RegistryError, PatternUnusable):
            past = None
        if past is None:
            left_out.append(row.path)
            continue
        forgotten += past.forgotten
        for one in past.sizes:
            size, under = days.get(one.at.date(), (0, 0))
            days[one.at.date()] = (size + one.size_bytes, under + one.policy_bytes)
    ordered = [(day, *days[day]) for day in sorted(days)]
    return PastPicture(
        lines=two_lines(ordered),
        days=ordered[::-7] if len(ordered) > DAYS_SHOWN else ordered[::-1],
        left_out=left_out,
        forgotten=forgotten,
        is_part=rows[: PICTURED + 1].count() > PICTURED,
    )


def _previews(found: FoundProject, policy: CleanupPolicy) -> list[RepositoryPreview]:
    rows = ImageRepository.objects.of_project(found.project).select_related("project").order_by("name")[:PREVIEWED]
    return [_preview(row, policy) for row in rows]


def _preview(repository: ImageRepository, policy: CleanupPolicy) -> RepositoryPreview:
    try:
        return RepositoryPreview(repository=repository, preview=preview_cleanup(repository, policy.selection))
    except RegistryError:
        return RepositoryPreview(repository=repository, preview=None)
