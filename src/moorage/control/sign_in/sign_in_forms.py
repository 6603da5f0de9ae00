"""Forms of sign-in and of one's own account."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from moorage.control.accounts.passwords import PASSWORD_LENGTH_LIMIT
from moorage.control.accounts.rules import TOKEN_DAYS_LIMIT, TokenScope
from moorage.control.accounts.second_factors import CODE_LENGTH_LIMIT
from moorage.control.credentials.finding import LOGIN_LENGTH_LIMIT
from moorage.control.pages.plain_forms import PlainForm

_SCOPES = [
    (TokenScope.READ_REGISTRY.value, _("read_registry: pull images")),
    (TokenScope.WRITE_REGISTRY.value, _("write_registry: push images")),
    (TokenScope.API.value, _("api: everything that you may do, over the API and at the registry")),
    (TokenScope.READ_API.value, _("read_api: read over the API")),
    (TokenScope.READ_USER.value, _("read_user: read your own account")),
    (TokenScope.SELF_ROTATE.value, _("self_rotate: put another token in its own place")),
]


def _password_field(label: Any, autocomplete: str) -> forms.CharField:  # noqa: ANN401 - a text that is translated late
    shown = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=PASSWORD_LENGTH_LIMIT, strip=False, widget=shown)


class SignInForm(PlainForm):
    """A name and a password."""

    login = forms.CharField(
        label=_("User name or e-mail"),
        max_length=LOGIN_LENGTH_LIMIT,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = _password_field(_("Password"), "current-password")


class CodeForm(PlainForm):
    """A code of an authenticator, or a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=CODE_LENGTH_LIMIT,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


class PasswordForm(PlainForm):
    """A change of one's own password."""

    current = _password_field(_("Current password"), "current-password")
    password = _password_field(_("New password"), "new-password")


class TokenForm(PlainForm):
    """A new access token."""

    name = forms.CharField(label=_("Name"), max_length=255, help_text=_("What it is for, such as a machine's name."))
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), choices=_SCOPES, widget=forms.CheckboxSelectMultiple, required=False
    )
    expires_at = forms.DateField(
        label=_("Ends on"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        required=False,
        help_text=_("The first day on which it is no longer taken; a year from now at most, and if nothing is said."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        super().__init__(*args, **kwargs)
        today = timezone.now().date()
        days = self.fields["expires_at"].widget.attrs
        days["min"], days["max"] = str(today + timedelta(days=1)), str(today + timedelta(days=TOKEN_DAYS_LIMIT))
