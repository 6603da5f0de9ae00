"""Texts that rooms make, such as why something is refused, in the reader's language.

Rooms speak English, as their texts go to clients and logs too. Here is each form of theirs, with its places; a text of
none of these forms is shown as it is.
"""

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

from moorage.control.pages.registry_texts import FORMS as REGISTRY_FORMS
from moorage.errors import Refused

_FORMS = (
    gettext_noop("there is no project at this path, or these credentials are not told of it"),
    gettext_noop("there is no project at this path"),
    gettext_noop("there is no project at this path; what was here is at %(path)s now"),
    gettext_noop("there is no project at this path, and no group or user that it could be made in"),
    gettext_noop("there is no project at this path, and a push does not make %(place)s: %(why)s"),
    gettext_noop("these credentials have no role there"),
    gettext_noop("the role of this user there is %(role)s, and %(action)s needs %(needed)s"),
    gettext_noop("create_project_on_push is off"),
    gettext_noop("new projects have no container registry here"),
    gettext_noop("the path is too long (maximum is %(count)s characters)"),
    gettext_noop(
        "the path must be letters and digits, joined by '.', '_', '__' or '-':"
        " it must not start or end with a special character and must not contain consecutive special characters"
    ),
    gettext_noop("the path must not end with .git or .atom"),
    gettext_noop("the path %(path)s is a reserved name"),
    gettext_noop("the project is not shown to these credentials"),
    gettext_noop("no repository has this name: it is that of a project, and at most two parts more"),
    gettext_noop("the container registry is switched off in this project"),
    gettext_noop("%(action)s is no action of a repository; there are pull, push, delete and *"),
    gettext_noop("the token's scopes are %(scopes)s; %(action)s needs %(needed)s"),
    gettext_noop("the deploy token is of another project or group"),
    gettext_noop("deploy tokens pull and push; %(action)s is for users and jobs"),
    gettext_noop("the deploy token's scopes are %(scopes)s; %(action)s needs %(needed)s"),
    gettext_noop("a job may pull, push and delete; * is for users"),
    gettext_noop("a job may %(action)s in its own project only"),
    gettext_noop("the project does not let jobs of other projects in, or not those of this one"),
    gettext_noop("the user of the job is %(role)s here, and pull needs %(needed)s"),
    gettext_noop("only members see the images of this project, and no credentials were sent"),
    gettext_noop("no credentials were sent, and %(action)s needs the role %(needed)s"),
    gettext_noop("the role of this user in the project is %(role)s, and %(action)s needs %(needed)s"),
    gettext_noop("the project is being moved to another path; try again in a moment"),
    gettext_noop("is being moved; try again in a moment"),
    gettext_noop("what is here is being deleted, and what is pushed now would go too; try again when it is gone"),
    gettext_noop("the group that it would be in is being deleted"),
    gettext_noop("the repository is being deleted: what came back would go too"),
    gettext_noop("the group or user is gone"),
    gettext_noop("something is being made in it or moved there; try again in a moment"),
    gettext_noop("%(word)s is not allowed since this group contains projects with higher visibility"),
    gettext_noop("%(word)s is not allowed since there are sub-groups with higher visibility"),
    gettext_noop("is the last owner of the group %(group)s; give it another one, or delete it"),
    gettext_noop("is blocked by the directory, which lets them in again"),
    gettext_noop("%(place)s is over its quota: %(size)s of %(limit)s bytes are used; delete images, or ask for more"),
    gettext_noop("no project can be made at this path: %(why)s"),
    gettext_noop("Pushing to protected repository path forbidden"),
    gettext_noop("the repository is gone"),
    gettext_noop("the tag is immutable"),
    gettext_noop("the tag is protected"),
    gettext_noop('tag "%(tag)s" is immutable: it may be neither moved nor deleted'),
    gettext_noop('tag "%(tag)s" is protected: the credentials do not allow to push or delete it'),
    gettext_noop("manifests and blobs are not deleted where tags are protected or immutable; delete tags instead"),
    gettext_noop("none"),
    gettext_noop("minimal"),
    gettext_noop("guest"),
    gettext_noop("planner"),
    gettext_noop("reporter"),
    gettext_noop("developer"),
    gettext_noop("maintainer"),
    gettext_noop("owner"),
)
_PLACE = re.compile(r"%\\\((\w+)\\\)s")


def said(text: str) -> str:
    """Return a room's text in the reader's language."""
    for form, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return gettext(form) % {name: said(value) for name, value in found.groupdict().items()}
    return text


def said_of(exc: Refused) -> str:
    """Return what a room has refused in the reader's language."""
    return said(str(exc))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    forms = (*_FORMS, *REGISTRY_FORMS)
    return tuple((form, re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(form)), re.DOTALL)) for form in forms)
