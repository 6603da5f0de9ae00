"""A group never shows less than what is in it, from whichever side it is changed."""

import pytest
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.changes import ProjectWish, change_group, create_project
from moorage.control.refusals import ChangeRefused
from support.control_api import call
from support.control_rows import new_group, new_project, new_token, new_user


def test_a_group_does_not_become_less_visible_than_its_projects_and_groups(client: Client) -> None:
    top = new_group()
    shown, below = new_group("shown", parent=top), new_group("below", parent=top, visibility="private")
    project = new_project(new_group("deep", parent=shown, visibility="internal"), visibility="internal")
    admin = new_token(new_user(is_admin=True)).secret
    answer = call(client, "PUT", f"/groups/{top.pk}", token=admin, values={"visibility": "private"})
    assert answer.status_code == 400
    assert b"since this group contains projects with higher visibility" in answer.content
    with pytest.raises(ChangeRefused, match="since there are sub-groups with higher visibility"):
        change_group(top, by=COMMAND_LINE, visibility="internal")
    top.refresh_from_db()
    assert top.visibility == "public"
    change_group(shown, by=COMMAND_LINE, visibility="internal")
    change_group(top, by=COMMAND_LINE, visibility="internal", name="What is in it is internal or private")
    assert (project.visibility, below.visibility) == ("internal", "private")


def test_the_page_says_so_in_the_reader_s_language(client: Client) -> None:
    group = new_group()
    new_project(group, visibility="public")
    client.force_login(new_user(is_admin=True))
    values = {"name": "x", "description": "", "visibility": "private"}
    answer = client.post(f"/{group}/-/settings", values, headers={"Accept-Language": "de"})
    assert answer.status_code == 400
    assert "private ist nicht möglich, weil Projekte in dieser Gruppe" in answer.content.decode()


def test_a_group_that_shows_less_already_is_changed_otherwise_all_the_same() -> None:
    group = new_group()
    new_project(group, visibility="public")
    Namespace.objects.filter(pk=group.pk).update(visibility="private")
    group.refresh_from_db()
    change_group(group, by=COMMAND_LINE, name="Before this was looked at", visibility="private")
    assert Namespace.objects.get(pk=group.pk).name == "Before this was looked at"


def test_what_was_known_of_a_group_before_it_became_private_or_moved_counts_for_nothing() -> None:
    group = new_group()
    known = Namespace.objects.get(pk=group.pk)
    Namespace.objects.filter(pk=group.pk).update(visibility="private", full_path=f"{group}-moved")
    with pytest.raises(ChangeRefused, match="public is not allowed in a private group"):
        create_project(known, "app", by=COMMAND_LINE, creator=None, wish=ProjectWish(visibility="public"))
    made = create_project(known, "app", by=COMMAND_LINE, creator=None, wish=ProjectWish(visibility="private"))
    assert made.full_path == f"{group}-moved/app"
