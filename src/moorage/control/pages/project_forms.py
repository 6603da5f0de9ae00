"""Forms of a project's cleanup, protection and tokens."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from moorage.control.pages.place_forms import ROLES
from moorage.control.pages.plain_forms import PlainForm
from moorage.control.policies.rules import AGES, KEEP_COUNTS

CADENCE_NAMES = [
    ("1d", _("every day")),
    ("7d", _("every week")),
    ("14d", _("every two weeks")),
    ("1month", _("every month")),
    ("3month", _("every three months")),
]
LEVELS = [
    ("maintainer", _("Maintainer")),
    ("owner", _("Owner")),
    ("admin", _("Administrator")),
]
API_SCOPES = [
    ("api", _("api: everything that its role may do")),
    ("read_api", _("read_api: reads by the API")),
    ("read_registry", _("read_registry: pulls images")),
    ("write_registry", _("write_registry: pushes images")),
]
DAY = forms.DateInput(attrs={"type": "date"})


class CleanupForm(PlainForm):
    """A cleanup policy."""

    enabled = forms.BooleanField(label=_("The policy is on"), required=False)
    cadence = forms.ChoiceField(label=_("Runs"), choices=CADENCE_NAMES)
    keep_n = forms.TypedChoiceField(
        label=_("Newest tags that stay"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", _("none for being new")), *((count, str(count)) for count in KEEP_COUNTS)],
    )
    name_regex_keep = forms.CharField(
        label=_("Names that stay"),
        required=False,
        max_length=255,
        help_text=_("A regular expression (RE2) for the whole name. The tag latest always stays."),
    )
    older_than = forms.ChoiceField(
        label=_("Only tags go that are older than"),
        required=False,
        choices=[("", _("any age")), *((age, _("%s days") % age.removesuffix("d")) for age in AGES)],
    )
    name_regex = forms.CharField(
        label=_("Names that go"),
        required=False,
        max_length=255,
        help_text=_("A regular expression; .* is every name."),
    )

    def values(self) -> dict[str, Any]:
        """Return the values as the policy has them."""
        found = dict(self.cleaned_data)
        return found | {"older_than": found["older_than"] or None, "name_regex_keep": found["name_regex_keep"] or None}


class RepositoryRuleForm(PlainForm):
    """A rule about repositories."""

    prefix = "repository"
    aliases: ClassVar[dict[str, str]] = {
        "repository_path_pattern": "pattern",
        "minimum_access_level_for_push": "push",
        "minimum_access_level_for_delete": "delete",
    }

    pattern = forms.CharField(label=_("Repositories"), max_length=255, help_text=_("A path; * stands for anything."))
    push = forms.ChoiceField(label=_("Least role to push"), required=False, choices=[("", _("Developer")), *LEVELS])
    delete = forms.ChoiceField(label=_("Least role to delete"), required=False, choices=[("", _("Developer")), *LEVELS])


class TagLevelsForm(PlainForm):
    """A rule about tags that is there: what can be changed of it."""

    prefix = "tags"
    aliases: ClassVar[dict[str, str]] = {
        "tag_name_pattern": "pattern",
        "minimum_access_level_for_push": "push",
        "minimum_access_level_for_delete": "delete",
    }

    pattern = forms.CharField(
        label=_("Tags"), max_length=100, help_text=_("A regular expression (RE2) that matches somewhere in the name.")
    )
    push = forms.ChoiceField(label=_("Least role to push"), choices=LEVELS)
    delete = forms.ChoiceField(label=_("Least role to delete"), choices=LEVELS)


class TagRuleForm(TagLevelsForm):
    """A new rule about tags."""

    field_order = ("pattern", "kind", "push", "delete")
    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[
            ("protected", _("Protected: from a role on")),
            ("immutable", _("Immutable: nobody moves or deletes them; for owners to set")),
        ],
    )


class AccessTokenForm(PlainForm):
    """A new access token of a place, with its own role."""

    prefix = "access"
    name = forms.CharField(label=_("Name"), max_length=255)
    access_level = forms.TypedChoiceField(label=_("Role"), choices=ROLES, coerce=int, initial=30)
    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=API_SCOPES, widget=forms.CheckboxSelectMultiple)
    expires_at = forms.DateField(
        label=_("Ends on"), required=False, widget=DAY, help_text=_("A year from now if nothing is said.")
    )


class DeployTokenForm(PlainForm):
    """A new deploy token."""

    prefix = "deploy"
    name = forms.CharField(label=_("Name"), max_length=255)
    username = forms.CharField(
        label=_("User name"), required=False, max_length=255, help_text=_("One is made if nothing is said.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=API_SCOPES[2:], widget=forms.CheckboxSelectMultiple, initial=["read_registry"]
    )
    expires_at = forms.DateTimeField(
        label=_("Ends on"),
        required=False,
        widget=DAY,
        input_formats=["%Y-%m-%d"],
        help_text=_("Never if nothing is said."),
    )
