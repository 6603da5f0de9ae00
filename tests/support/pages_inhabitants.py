"""People for the pages, written by a process of its own: ``python -m support.pages_inhabitants``.

Prints a session's key for each: an administrator, one of each role in ``team/app``, and a stranger.
"""

import json
import sys
from datetime import timedelta

from django.apps import apps

if not apps.ready:
    from moorage.control.wsgi import application  # It starts Django by MOORAGE_CONTROL, before the models are imported.

    assert application

from django.conf import settings  # isort: skip
from django.test import Client  # isort: skip
from django.utils import timezone  # isort: skip

from moorage.control.accounts.models import User  # isort: skip
from moorage.control.audit.actors import COMMAND_LINE  # isort: skip
from moorage.control.images.recording import ensure_repository  # isort: skip
from moorage.control.images.models import ImageRepository  # isort: skip
from moorage.control.policies.changes import change_policy  # isort: skip
from moorage.control.projects.changes import change_project  # isort: skip
from moorage.control.projects.models import Project  # isort: skip
from moorage.control.projects.requesters import Requester  # isort: skip
from moorage.control.projects.rules import AccessLevel, CredentialKind  # isort: skip
from moorage.control.protection.changes import create_repository_rule  # isort: skip
from moorage.control.tokens.granting import verdicts_on  # isort: skip
from moorage.control.tokens.refused_access import note_refusals  # isort: skip
from moorage.control.usage.changes import ensure_place  # isort: skip
from moorage.control.usage.models import DailyUsage, UsagePlace  # isort: skip
from moorage.token_server.scopes import Scope  # isort: skip
from support.control_rows import (  # isort: skip
    PASSWORD,
    new_bot_token,
    new_deploy_token,
    new_group,
    new_member,
    new_project,
    new_user,
)
from support.pages_site import KIMS_PASSWORD  # isort: skip

ROLES = {
    "ada": AccessLevel.OWNER,
    "max": AccessLevel.MAINTAINER,
    "dev": AccessLevel.DEVELOPER,
    "rea": AccessLevel.REPORTER,
    "gus": AccessLevel.GUEST,
}


def inhabit() -> dict[str, User]:
    """Make the people and their projects; return the people by name."""
    group = new_group("team")
    project = new_project(group, "app")
    change_project(project, by=COMMAND_LINE, description="Departures, delays and the boards on the piers")
    people = {name: new_member(project, level, new_user(name)).user for name, level in ROLES.items()}
    new_member(group, AccessLevel.OWNER, people["ada"])
    people |= {"root": new_user("root", is_admin=True), "eve": new_user("eve", password=PASSWORD)}
    people["kim"] = new_user("kim", password=KIMS_PASSWORD)
    new_project(group, "empty")
    new_member(Project.objects.get(full_path="team/empty"), AccessLevel.DEVELOPER, people["dev"])
    new_project(new_group("secret", visibility="private"), "plans")
    _repositories(project, new_project(group, "open", visibility="public"))
    change_policy(project, by=COMMAND_LINE, enabled=True, keep_n=5, older_than=None, name_regex="mr-.*")
    create_repository_rule(project, "team/app/worker*", by=COMMAND_LINE, minimum_access_level_for_delete="owner")
    new_bot_token(project)
    new_deploy_token(project)
    return people


def live_some_weeks(people: dict[str, User]) -> None:
    """Write sizes of some weeks, and a push that was refused."""
    project = Project.objects.select_related("namespace").get(full_path="team/app")
    sizes = ((project, 31 << 30), (project.namespace, 40 << 30), (Project.objects.get(full_path="team/open"), 9 << 30))
    today = timezone.now().date()
    for place, size in sizes:
        row = ensure_place(place)
        UsagePlace.objects.filter(pk=row.pk).update(size_bytes=size, measured_at=timezone.now(), hard_bytes=50 << 30)
        days = ((day, size - (day % 9) * (size >> 5) - day * (size >> 7)) for day in range(40))
        DailyUsage.objects.bulk_create(
            DailyUsage(place=row, day=today - timedelta(days=day), size_bytes=taken) for day, taken in days
        )
    who = Requester(credential=CredentialKind.PASSWORD, user=people["rea"])
    note_refusals(
        who, verdicts_on(who, [Scope("repository", "team/app/api", ("pull", "push"))], makes=False), request_id="b7e1c9"
    )


def _repositories(project: Project, public: Project) -> None:
    for name in ("api", "worker", "loadtest", "experiments/gpu"):
        ensure_repository(project, f"team/app/{name}", by=COMMAND_LINE)
    ensure_repository(public, "team/open", by=COMMAND_LINE)
    now, rows = timezone.now(), ImageRepository.objects.filter(project=project)
    waiting = {"status": "delete_scheduled", "failed_deletion_count": 4, "delete_due_at": now + timedelta(hours=3)}
    rows.filter(name="loadtest").update(**waiting, status_updated_at=now, last_failure="the registry answered 503")
    failed = {"status": "delete_failed", "failed_deletion_count": 10, "status_updated_at": now - timedelta(days=2)}
    rows.filter(name="experiments/gpu").update(**failed, last_failure="the registry answered 405 UNSUPPORTED")


def session_of(user: User) -> str:
    """Return the key of a session of *user*, begun as every session is."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


if __name__ == "__main__":
    those = inhabit()
    live_some_weeks(those)
    json.dump({name: (name, session_of(user)) for name, user in those.items()}, sys.stdout)
