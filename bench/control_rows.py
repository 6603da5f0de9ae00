"""Many rows of the control plane, written in bulk: as many of each kind as are asked for. Django has to be started."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db.models import DateTimeField, Model, QuerySet

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import ImageRepository, ImageStatus
from moorage.control.namespaces.models import Namespace, NamespaceKind
from moorage.control.policies.models import CleanupPolicy, CleanupRun
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.tokens.models import AccessRefusal
from moorage.control.usage.models import UsagePlace

FIRST_ID = 1_000_000
"""Groups begin here: their ids are in their lineages."""
_START = datetime(2024, 1, 1, tzinfo=UTC)
_BATCH = 2000

Row = TypeVar("Row", bound=Model)


def fill(numbers: range, *, group: Namespace, project: Project, user: User) -> None:
    """Write so many users, groups, projects of *group* with an image each, and of all that lists show of *project*.

    *numbers* are in their names, so that there can be more later. *user* has the tokens, and was refused something.
    """
    users = _written(
        User(username=f"u{n:06}", name=f"U {n}", email=f"u{n}@example.com", created_at=_at(n)) for n in numbers
    )
    _written(
        Namespace(
            pk=FIRST_ID + n,
            kind=NamespaceKind.GROUP,
            lineage=f"{FIRST_ID + n}/",
            created_at=_at(n),
            updated_at=_at(n),
            **_named("g", n),
        )
        for n in numbers
    )
    projects = _written(
        Project(
            namespace=group,
            visibility="private",
            container_registry_access_level="enabled",
            created_at=_at(n),
            updated_at=_at(n),
            **_named("app", n, f"{group.full_path}/"),
        )
        for n in numbers
    )
    level = AccessLevel.DEVELOPER
    _written(
        Membership(user=one, project=project, access_level=level, created_at=_at(n))
        for n, one in zip(numbers, users, strict=True)
    )
    _written(CleanupPolicy(project=one, created_at=_START, updated_at=_START) for one in projects)
    _write_images(numbers, projects, project)
    _write_past(numbers, project, user)


def _write_images(numbers: range, projects: list[Project], project: Project) -> None:
    failed = ImageStatus.DELETE_FAILED
    pairs = list(zip(numbers, projects, strict=True))
    _written(ImageRepository(project=one, status=failed, created_at=_at(n), updated_at=_at(n)) for n, one in pairs)
    _written(
        ImageRepository(project=project, name=f"part{n:06}", created_at=_at(n), updated_at=_at(n)) for n in numbers
    )
    _written(UsagePlace(project=one, size_bytes=_spread(n), measured_at=_at(n)) for n, one in pairs)


def _write_past(numbers: range, project: Project, user: User) -> None:
    place = {"entity_kind": "project", "entity_id": project.pk, "entity_path": project.full_path}
    target = {"action": "project_created", "target_kind": "project", "target_name": "p"}
    _written(AuditEntry(actor_name=f"u{n}", at=_at(n), **place, **target) for n in numbers)
    day = (_START + timedelta(days=36525)).date()
    token = {"user": user, "scopes": ["read_api"], "expires_at": day}
    _written(PersonalAccessToken(name=f"t{n}", digest=f"bench {n}", created_at=_at(n), **token) for n in numbers)
    run = {"project": project, "repository_path": project.full_path, "outcome": "finished"}
    _written(CleanupRun(started_at=_at(n), **run) for n in numbers)
    refusal = {"user": user, "project": project, "name": "u", "credential": "personal_access_token 1"}
    wanted = {"repository": project.full_path, "actions": "pull", "step": "role", "shown": "no", "reason": "no"}
    _written(AccessRefusal(request_id=f"r{n}", first_at=_at(n), last_at=_at(n), **refusal, **wanted) for n in numbers)


def _spread(number: int) -> int:
    return number * 7919 % 1_000_003


def _at(number: int) -> datetime:
    """A moment: not in the order of the numbers."""
    return _START + timedelta(seconds=_spread(number))


def _named(word: str, number: int, above: str = "") -> dict[str, str]:
    path = f"{word}{number:06}"
    return {"name": path, "path": path, "full_path": f"{above}{path}"}


def _written(rows: Iterable[Row]) -> list[Row]:
    wanted = list(rows)
    kind = type(wanted[0])
    # A table whose own manager refuses it is written as well.
    plain: QuerySet[Row] = QuerySet(kind)
    with _moments_as_given(kind):
        return plain.bulk_create(wanted, batch_size=_BATCH)


@contextmanager
def _moments_as_given(kind: type[Model]) -> Iterator[None]:
    """Keep Django from noting the time of the writing."""
    noted = [
        field
        for field in kind._meta.concrete_fields  # noqa: SLF001 - Django's way
        if isinstance(field, DateTimeField) and (field.auto_now or field.auto_now_add)
    ]
    before = [(field, field.auto_now, field.auto_now_add) for field in noted]
    for field in noted:
        field.auto_now = field.auto_now_add = False
    try:
        yield
    finally:
        for field, auto_now, auto_now_add in before:
            field.auto_now, field.auto_now_add = auto_now, auto_now_add
