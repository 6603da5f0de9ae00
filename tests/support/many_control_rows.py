"""Many rows of the control plane, written in bulk: as many of each kind as are asked for."""

from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from moorage.control.accounts.models import User
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import ImageRepository, ImageStatus
from moorage.control.namespaces.models import Namespace, NamespaceKind
from moorage.control.policies.models import CleanupPolicy, CleanupRun
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.tokens.models import AccessRefusal
from moorage.control.usage.models import UsagePlace

_START = datetime(2024, 1, 1, tzinfo=UTC)
_BATCH = 500


def fill(first: int, count: int, *, group: Namespace, project: Project, member: User) -> None:
    """Write *count* projects into *group*, each with a repository, as many repositories into *project*, and the rest.

    *first*: the number of the first, so that there can be more later. *member* is of every other project.
    """
    numbers = range(first, first + count)

    def moment(number: int) -> datetime:
        return _START + timedelta(seconds=number * 7919 % 1_000_003)

    people = [User(username=f"u{n:07}", name=f"U {n}", email=f"u{n}@example.com") for n in numbers]
    users = User.objects.bulk_create(people, batch_size=_BATCH)
    groups = Namespace.objects.bulk_create(
        [Namespace(kind=NamespaceKind.GROUP, name=f"g{n}", path=f"g{n:07}", full_path=f"g{n:07}") for n in numbers],
        batch_size=_BATCH,
    )
    for one in groups:
        one.lineage = f"{one.pk}/"
    Namespace.objects.bulk_update(groups, ["lineage"], batch_size=_BATCH)
    projects = Project.objects.bulk_create(
        [
            Project(
                namespace=group,
                name=f"app{n:07}",
                path=f"app{n:07}",
                full_path=f"{group.full_path}/app{n:07}",
                visibility="private",
                container_registry_access_level="enabled",
            )
            for n in numbers
        ],
        batch_size=_BATCH,
    )
    for number, one in zip(numbers, projects, strict=True):
        one.updated_at = one.created_at = moment(number)
    Project.objects.bulk_update(projects, ["updated_at", "created_at"], batch_size=_BATCH)
    for number, person in zip(numbers, users, strict=True):
        person.created_at = moment(number)
    User.objects.bulk_update(users, ["created_at"], batch_size=_BATCH)
    _write_images(numbers, projects, project, moment)
    CleanupPolicy.objects.bulk_create([CleanupPolicy(project=one) for one in projects], batch_size=_BATCH)
    UsagePlace.objects.bulk_create(
        [
            UsagePlace(project=one, size_bytes=number * 7919 % 1_000_003, measured_at=moment(number))
            for number, one in zip(numbers, projects, strict=True)
        ],
        batch_size=_BATCH,
    )
    level = AccessLevel.DEVELOPER
    memberships = [Membership(user=one, project=project, access_level=level) for one in users]
    Membership.objects.bulk_create(memberships, batch_size=_BATCH)
    _write_past(numbers, project, member, moment)


def _write_images(numbers, projects, project, moment) -> None:
    failed = ImageStatus.DELETE_FAILED
    repositories = [ImageRepository(project=one, name="", status=failed) for one in projects]
    repositories += [ImageRepository(project=project, name=f"part{n:07}") for n in numbers]
    made = ImageRepository.objects.bulk_create(repositories, batch_size=_BATCH)
    for number, one in enumerate(made):
        one.updated_at = one.created_at = moment(numbers[0] + number)
    ImageRepository.objects.bulk_update(made, ["updated_at", "created_at"], batch_size=_BATCH)


def _write_past(numbers, project, member, moment) -> None:
    entries = [
        AuditEntry(
            actor_name=f"u{n}", action="project_created", target_kind="project", target_id=n, target_name=f"p{n}",
            entity_kind="project", entity_id=project.pk, entity_path=project.full_path,
        )
        for n in numbers
    ]  # fmt: skip
    # What the table's own manager refuses.
    QuerySet(AuditEntry).bulk_create(entries, batch_size=_BATCH)
    CleanupRun.objects.bulk_create(
        [
            CleanupRun(project=project, repository_path=project.full_path, started_at=moment(n), outcome="finished")
            for n in numbers
        ],
        batch_size=_BATCH,
    )
    AccessRefusal.objects.bulk_create(
        [
            AccessRefusal(
                user=member, name="u", credential="personal_access_token 1", project=project, repository="many/big",
                actions="pull", step="role", shown="no", reason="no", request_id=f"r{n}",
                first_at=moment(n), last_at=moment(n),
            )
            for n in numbers
        ],
        batch_size=_BATCH,
    )  # fmt: skip
