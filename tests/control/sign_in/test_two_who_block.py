"""A directory and an administrator who keep the same person out: neither ends what the other has begun."""

import pytest
from django.test import Client

from moorage.control.accounts.changes import block_by_directory, block_user, unblock_by_directory, unblock_user
from moorage.control.accounts.models import User, UserState
from moorage.control.audit.actors import COMMAND_LINE, SYSTEM
from moorage.control.refusals import ChangeRefused
from support.control_rows import new_user


def test_whom_an_administrator_blocks_while_the_directory_is_asked_stays_blocked() -> None:
    user = new_user()
    asked_about = User.objects.get(pk=user.pk)
    block_user(user, by=COMMAND_LINE)
    assert block_by_directory(asked_about, by=SYSTEM) is False
    assert unblock_by_directory(asked_about, by=SYSTEM) is False
    assert User.objects.get(pk=user.pk).state == UserState.BLOCKED
    assert asked_about.is_active is False


def test_whom_the_directory_keeps_out_only_the_directory_lets_in(client: Client) -> None:
    user = new_user()
    assert block_by_directory(user, by=SYSTEM) is True
    with pytest.raises(ChangeRefused, match="is blocked by the directory"):
        unblock_user(user, by=COMMAND_LINE)
    client.force_login(new_user(is_admin=True))
    answer = client.post(f"/admin/users/{user.pk}/state", follow=True)
    assert "is blocked by the directory, which lets them in again" in answer.content.decode()
    assert User.objects.get(pk=user.pk).state == UserState.LDAP_BLOCKED
    assert unblock_by_directory(user, by=SYSTEM) is True
    assert User.objects.get(pk=user.pk).is_active
