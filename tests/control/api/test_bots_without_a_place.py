"""Access tokens of projects and groups end with what they are of: a bot is a user, whom internal projects let in."""

from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.projects.changes import delete_group, delete_project
from moorage.control.projects.members import remove_member
from moorage.control.projects.models import Membership
from support.control_api import call
from support.control_rows import new_bot_token, new_group, new_project, new_token, new_user
from support.control_tokens import ask, granted


@pytest.mark.parametrize("end", ["project", "group", "membership"])
def test_the_token_of_a_place_that_is_gone_opens_nothing(client: Client, end: str) -> None:
    internal = new_project(visibility="internal")
    place = new_group() if end == "group" else new_project()
    secret = new_bot_token(place).secret
    assert granted(ask(client, f"repository:{internal}:pull", given=("any", secret))) != {}
    assert call(client, "GET", "/user", token=secret).status_code == 200
    if end == "project":
        delete_project(place, by=COMMAND_LINE)  # type: ignore[arg-type] # it is one
    elif end == "group":
        delete_group(place, by=COMMAND_LINE)  # type: ignore[arg-type] # it is one
    else:
        remove_member(Membership.objects.get(user__kind="project_bot"), by=COMMAND_LINE)
    assert ask(client, f"repository:{internal}:pull", given=("any", secret)).status_code == 401
    assert call(client, "GET", "/user", token=secret).status_code == 401
    assert not User.objects.exclude(kind="human").exists()
    assert AuditEntry.objects.filter(action="bot_deleted").count() == 1


def test_a_person_who_is_taken_out_of_a_project_stays_a_user(client: Client) -> None:
    user, project = new_user(), new_project()
    secret = new_token(user).secret
    member = Membership.objects.create(user=user, project=project, access_level=30)
    remove_member(member, by=COMMAND_LINE)
    assert call(client, "GET", "/user", token=secret).status_code == 200


def test_an_upgrade_takes_back_the_tokens_of_bots_that_have_lost_their_place_before() -> None:
    left, kept = new_bot_token(new_project()), new_bot_token(new_group())
    own = new_token(new_user())
    Membership.objects.filter(user=left.token.user).delete()
    import_module("moorage.control.projects.migrations.0004_bots_without_a_place")._take_back(apps, None)
    usable = PersonalAccessToken.objects.filter(revoked_at=None).values_list("pk", flat=True)
    assert set(usable) == {kept.token.pk, own.token.pk}
