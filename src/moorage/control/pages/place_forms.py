"""Forms of groups, projects and their members."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from moorage.control.namespaces.models import Namespace, Namespaces
from moorage.control.pages.plain_forms import PlainForm
from moorage.control.projects.rules import AccessLevel

VISIBILITIES = [
    ("private", _("Private: members only")),
    ("internal", _("Internal: everybody who is signed in")),
    ("public", _("Public: everybody, also without an account")),
]
FEATURES = [
    ("enabled", _("Everybody who sees the project may pull")),
    ("private", _("Members only may pull")),
    ("disabled", _("Off: images stay, and nobody reaches them")),
]
ROLES = [
    (AccessLevel.GUEST.value, _("Guest")),
    (AccessLevel.PLANNER.value, _("Planner")),
    (AccessLevel.REPORTER.value, _("Reporter: sees and pulls")),
    (AccessLevel.DEVELOPER.value, _("Developer: pushes and deletes tags")),
    (AccessLevel.MAINTAINER.value, _("Maintainer: rules, settings, whole repositories")),
    (AccessLevel.OWNER.value, _("Owner: everything")),
]


class GroupForm(PlainForm):
    """Values of a group."""

    path = forms.CharField(label=_("Path"), max_length=255, help_text=_("Stands in the names of all its images."))
    name = forms.CharField(label=_("Name"), max_length=255, required=False)
    description = forms.CharField(label=_("Description"), required=False, max_length=2000)
    visibility = forms.ChoiceField(label=_("Visibility"), choices=VISIBILITIES)


class NewProjectForm(PlainForm):
    """Values of a new project."""

    aliases: ClassVar[dict[str, str]] = {"full_path": "path"}

    namespace = forms.ModelChoiceField(label=_("Group or user"), queryset=Namespace.objects.none(), empty_label=None)
    path = forms.CharField(label=_("Path"), max_length=255, help_text=_("Stands in the names of all its images."))
    name = forms.CharField(label=_("Name"), max_length=255, required=False)
    description = forms.CharField(label=_("Description"), required=False, max_length=2000)
    visibility = forms.ChoiceField(label=_("Visibility"), choices=VISIBILITIES)

    def __init__(self, *args: Any, allowed: Namespaces, offered: Sequence[Namespace], **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        """*allowed* are taken, however many they are; *offered* are shown."""
        super().__init__(*args, **kwargs)
        field = self.fields["namespace"]
        field.queryset = allowed  # type: ignore[attr-defined] # it is a field of choices
        field.widget.choices = [(one.pk, one.full_path) for one in offered]


class ProjectForm(PlainForm):
    """Settings of a project."""

    name = forms.CharField(label=_("Name"), max_length=255)
    description = forms.CharField(label=_("Description"), required=False, max_length=2000)
    visibility = forms.ChoiceField(label=_("Visibility"), choices=VISIBILITIES)
    container_registry_access_level = forms.ChoiceField(label=_("Registry"), choices=FEATURES)


class MemberForm(PlainForm):
    """A new member."""

    aliases: ClassVar[dict[str, str]] = {"user": "username", "user_id": "username"}

    username = forms.CharField(label=_("User name"), max_length=255)
    access_level = forms.TypedChoiceField(label=_("Role"), choices=ROLES, coerce=int, initial=30)
    expires_at = forms.DateField(label=_("Ends on"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
