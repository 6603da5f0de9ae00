"""A topmost group is never nobody's: whoever leaves it, is deleted, or may not sign in."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.accounts.changes import block_user, delete_user, unblock_user
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.projects.members import add_member, change_member, remove_member
from moorage.control.projects.models import Membership
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused
from support.control_api import call
from support.control_rows import new_bot_token, new_group, new_member, new_token, new_user


def test_a_user_who_alone_owns_a_group_is_not_deleted(client: Client) -> None:
    owner = new_user()
    group = new_group(owner=owner)
    new_group("below", parent=group, owner=owner)
    admin = new_token(new_user(is_admin=True)).secret
    answer = call(client, "DELETE", f"/users/{owner.pk}", token=admin)
    assert answer.status_code == 400
    assert f"is the last owner of the group {group}" in answer.content.decode()
    new_member(group, AccessLevel.OWNER)
    assert call(client, "DELETE", f"/users/{owner.pk}", token=admin).status_code == 204
    assert Membership.objects.filter(namespace=group).count() == 1


def test_bots_and_who_may_not_sign_in_count_for_no_owner() -> None:
    owner, blocked = new_user(), new_user()
    group = new_group(owner=owner)
    add_member(group, blocked, AccessLevel.OWNER, by=COMMAND_LINE)
    block_user(blocked, by=COMMAND_LINE)
    new_bot_token(group, AccessLevel.OWNER)
    member = Membership.objects.get(namespace=group, user=owner)
    with pytest.raises(ChangeRefused, match="is the last owner of the group"):
        remove_member(member, by=COMMAND_LINE)
    with pytest.raises(ChangeRefused, match="is the last owner of the group"):
        delete_user(owner, by=COMMAND_LINE)
    unblock_user(blocked, by=COMMAND_LINE)
    delete_user(User.objects.get(pk=owner.pk), by=COMMAND_LINE)


def test_the_last_owner_s_role_does_not_end_by_itself_either() -> None:
    owner, day = new_user(), timezone.now().date() + timedelta(days=1)
    member = Membership.objects.get(namespace=new_group(owner=owner))
    with pytest.raises(ChangeRefused, match="is the last owner of the group"):
        change_member(member, AccessLevel.OWNER, by=COMMAND_LINE, expires_at=day)
    assert Membership.objects.get(pk=member.pk).expires_at is None
    change_member(member, AccessLevel.OWNER, by=COMMAND_LINE)
