"""Roles asked for in many places at once are those that a decision about each place finds."""

from datetime import date, timedelta

from moorage.control.projects.roles_held import roles_of
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.standings import role_in_namespace, role_in_project
from support.control_rows import new_group, new_member, new_project, new_user

TODAY = date(2026, 3, 1)


def test_roles_in_many_places_are_those_of_each_place() -> None:
    user = new_user("ada")
    top, other = new_group("top"), new_group("other")
    inner = new_group("inner", parent=top)
    deep = new_group("deep", parent=inner)
    projects = [new_project(place) for place in (top, inner, deep, other, user)]
    new_member(top, AccessLevel.REPORTER, user)
    new_member(deep, AccessLevel.GUEST, user)
    new_member(projects[1], AccessLevel.MAINTAINER, user)
    ended = new_member(inner, AccessLevel.OWNER, user)
    ended.expires_at = TODAY - timedelta(days=1)
    ended.save()
    new_member(inner, AccessLevel.OWNER)  # Somebody else's.
    found = roles_of(user, TODAY, projects=projects, groups=[top, inner, deep, other])
    assert [found.in_group(group) for group in (top, inner, deep, other)] == [20, 20, 20, 0]
    assert [found.in_project(project) for project in projects] == [20, 40, 20, 0, 50]
    assert [found.in_project_alone(project) for project in projects] == [0, 40, 0, 0, 50]
    for project in projects:
        assert found.in_project(project) == role_in_project(user, project, TODAY)
    for group in (top, inner, deep, other):
        assert found.in_group(group) == role_in_namespace(user, group, TODAY)
