"""Users: their names and passwords, and what becomes of them."""

import pytest
from django.conf import settings
from django.db import transaction

from moorage.control.accounts.changes import (
    INITIAL_PASSWORD_NAME,
    block_user,
    change_password,
    change_user,
    create_user,
    delete_user,
    link_identity,
)
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.changes import record
from moorage.control.audit.models import AuditEntry, AuditIsKept
from moorage.control.namespaces.models import Namespace
from moorage.control.refusals import ChangeRefused
from support.control_rows import PASSWORD, new_group, new_project, new_user


def problems(caught: pytest.ExceptionInfo[ChangeRefused]) -> dict[str, list[str]]:
    return caught.value.problems


def test_a_user_has_a_namespace_of_the_same_path_and_an_audit_row() -> None:
    user = new_user("Ada")
    assert user.namespace is not None
    assert (user.namespace.full_path, user.namespace.kind) == ("Ada", "user")
    rows = AuditEntry.objects.filter(target_kind="user").values_list("action", "actor_name", "target_name")
    assert list(rows) == [("user_created", "(command line)", "Ada")]


@pytest.mark.parametrize("username", ["ada", "ADA", "api", "-x", "a..b", "x.git", "a/b", "a b", "é"])
def test_a_name_that_is_taken_or_not_possible_is_refused(username: str) -> None:
    new_user("Ada")
    with pytest.raises(ChangeRefused) as caught:
        new_user(username)
    assert set(problems(caught)) <= {"username", "email"}


def test_a_user_and_a_group_cannot_have_one_path() -> None:
    new_group("shared")
    with pytest.raises(ChangeRefused) as caught:
        new_user("Shared")
    assert problems(caught) == {"path": ["has already been taken"]}


def test_a_password_is_hashed_with_the_measured_parameters() -> None:
    user = new_user(password=PASSWORD)
    assert user.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    with pytest.raises(ChangeRefused) as caught:
        change_password(user, "12345678", by=COMMAND_LINE)
    assert problems(caught) == {"password": ["This password is too common"]}


@pytest.mark.usefixtures("committed")
def test_the_file_with_the_first_password_goes_when_it_is_changed() -> None:
    file = settings.MOORAGE.folder / INITIAL_PASSWORD_NAME
    file.write_text("x")
    change_password(new_user(), PASSWORD, by=COMMAND_LINE)
    assert file.exists()
    change_password(new_user(is_admin=True), PASSWORD, by=COMMAND_LINE)
    assert not file.exists()


def test_the_last_administrator_stays_one() -> None:
    root = new_user("root1", is_admin=True)
    for change in (block_user, delete_user):
        with pytest.raises(ChangeRefused, match="is the last administrator"):
            change(root, by=COMMAND_LINE)
    with pytest.raises(ChangeRefused, match="is the last administrator"):
        change_user(User.objects.get(pk=root.pk), by=COMMAND_LINE, is_admin=False)
    new_user(is_admin=True)
    change_user(root, by=COMMAND_LINE, is_admin=False)
    assert not User.objects.get(pk=root.pk).is_admin


def test_a_user_with_projects_is_not_deleted_and_one_without_leaves_no_name_taken() -> None:
    user = new_user("gone")
    project = new_project(user)
    with pytest.raises(ChangeRefused, match="has projects"):
        delete_user(user, by=COMMAND_LINE)
    project.delete()
    delete_user(user, by=COMMAND_LINE)
    assert not Namespace.objects.at("gone").exists()
    new_user("gone")


def test_an_identity_elsewhere_is_one_users() -> None:
    first, second = new_user(), new_user()
    link_identity(first, "oidc", "sub-1", by=COMMAND_LINE)
    link_identity(first, "oidc", "sub-2", by=COMMAND_LINE)
    assert [one.uid for one in first.identities.all()] == ["sub-2"]
    with pytest.raises(ChangeRefused, match="has already been taken"):
        link_identity(second, "oidc", "sub-2", by=COMMAND_LINE)


def test_audit_rows_cannot_be_altered_or_written_outside_a_change() -> None:
    user = new_user()
    row = AuditEntry.objects.filter(target_id=user.pk).first()
    assert row is not None
    for change in (row.save, row.delete, AuditEntry.objects.all().delete):
        with pytest.raises(AuditIsKept):
            change()
    with pytest.raises(AuditIsKept):
        AuditEntry.objects.update(actor_name="nobody")


@pytest.mark.usefixtures("committed")
def test_an_audit_row_needs_the_transaction_of_its_change() -> None:
    user = create_user("alone", by=COMMAND_LINE)
    with pytest.raises(RuntimeError, match="in the transaction of its change"):
        record("anything", user, by=COMMAND_LINE)
    with transaction.atomic():
        record("anything", user, by=COMMAND_LINE)
    assert AuditEntry.objects.filter(action="anything").exists()
