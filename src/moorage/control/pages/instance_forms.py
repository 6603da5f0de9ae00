"""The form of the instance's settings. Labels are GitLab's names, as its guides have them."""

from django import forms
from django.utils.translation import gettext_lazy as _

from moorage.control.pages.plain_forms import PlainForm

_VISIBILITIES = [("private", _("Private")), ("internal", _("Internal")), ("public", _("Public"))]


class SettingsForm(PlainForm):
    """Settings of the instance."""

    container_registry_token_expire_delay = forms.IntegerField(
        label="container_registry_token_expire_delay",
        help_text=_("Minutes that a token for the registry lives: 1 to 60."),
    )
    default_project_visibility = forms.ChoiceField(
        label="default_project_visibility", choices=_VISIBILITIES, help_text=_("New projects are so.")
    )
    default_group_visibility = forms.ChoiceField(
        label="default_group_visibility", choices=_VISIBILITIES, help_text=_("New groups are so.")
    )
    default_projects_container_registry = forms.BooleanField(
        label="default_projects_container_registry", required=False, help_text=_("New projects have a registry.")
    )
    create_project_on_push = forms.BooleanField(
        label="create_project_on_push", required=False, help_text=_("A first push makes the project, where one may.")
    )
    container_registry_delete_tags_service_timeout = forms.IntegerField(
        label="container_registry_delete_tags_service_timeout",
        min_value=0,
        help_text=_("Seconds that one cleanup of a repository takes at most; 0: any time."),
    )
    container_registry_expiration_policies_worker_capacity = forms.IntegerField(
        label="container_registry_expiration_policies_worker_capacity",
        min_value=0,
        help_text=_("Cleanups that go on at once; 0: none."),
    )
    container_registry_cleanup_tags_service_max_list_size = forms.IntegerField(
        label="container_registry_cleanup_tags_service_max_list_size",
        min_value=0,
        help_text=_("Tags that one cleanup looks at in a registry without GitLab's API; 0: any number."),
    )
