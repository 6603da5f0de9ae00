"""Forms for administrators. Settings are called as GitLab's guide calls them where it has them."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from moorage.control.pages.plain_forms import PlainForm
from moorage.control.usage.models import UsagePlace

_GIB = 1 << 30
_GIB_LIMIT = 1 << 32

_VISIBILITIES = [("private", _("Private")), ("internal", _("Internal")), ("public", _("Public"))]


class SettingsForm(PlainForm):
    """Settings of the instance."""

    container_registry_token_expire_delay = forms.IntegerField(
        label=_("Authorization token duration (minutes)"),
        help_text=_("Minutes that a token for the registry lives: 1 to 1440."),
    )
    default_project_visibility = forms.ChoiceField(
        label=_("Visibility of new projects"), choices=_VISIBILITIES, help_text=_("New projects are so.")
    )
    default_group_visibility = forms.ChoiceField(
        label=_("Visibility of new groups"), choices=_VISIBILITIES, help_text=_("New groups are so.")
    )
    default_projects_container_registry = forms.BooleanField(
        label=_("Container registry for new projects"), required=False, help_text=_("New projects have a registry.")
    )
    create_project_on_push = forms.BooleanField(
        label=_("Projects made by a first push"),
        required=False,
        help_text=_("A first push makes the project, where one may."),
    )
    container_registry_delete_tags_service_timeout = forms.IntegerField(
        label=_("Cleanup policy maximum processing time (seconds)"),
        min_value=0,
        help_text=_("Seconds that one cleanup of a repository takes at most; 0: any time."),
    )
    container_registry_expiration_policies_worker_capacity = forms.IntegerField(
        label=_("Cleanup policy maximum workers running concurrently"),
        min_value=0,
        help_text=_("Cleanups that go on at once; 0: none."),
    )
    container_registry_cleanup_tags_service_max_list_size = forms.IntegerField(
        label=_("Cleanup policy maximum number of tags to be deleted"),
        min_value=0,
        help_text=_("Tags that one cleanup looks at in a registry without GitLab's API; 0: any number."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            # The name by which commands and the API have it.
            field.help_text = f"{field.help_text} ({name})"


class QuotaForm(PlainForm):
    """The quotas of a project or group, in GiB."""

    aliases: ClassVar[dict[str, str]] = {"soft_bytes": "soft", "hard_bytes": "hard"}

    soft = forms.FloatField(
        label=_("Soft quota, GiB"),
        required=False,
        min_value=0,
        max_value=_GIB_LIMIT,
        help_text=_("Above it, it is said and nothing is refused."),
    )
    hard = forms.FloatField(
        label=_("Hard quota, GiB"),
        required=False,
        min_value=0,
        max_value=_GIB_LIMIT,
        help_text=_("Above it, pushes are refused."),
    )
    warning_percent = forms.IntegerField(label=_("Warn from, per cent of the lower"), min_value=1, max_value=100)

    @staticmethod
    def values_of(row: UsagePlace) -> dict[str, float | None]:
        """Return the quotas of *row* as the form shows them."""
        sizes = {"soft": row.soft_bytes, "hard": row.hard_bytes}
        shown = {name: None if size is None else round(size / _GIB, 3) for name, size in sizes.items()}
        return shown | {"warning_percent": row.warning_percent}

    def values(self) -> dict[str, int | None]:
        """Return the quotas in bytes."""
        found = self.cleaned_data
        sizes = {f"{name}_bytes": found[name] for name in ("soft", "hard")}
        shown = {name: None if size is None else round(size * _GIB) for name, size in sizes.items()}
        return shown | {"warning_percent": found["warning_percent"]}
