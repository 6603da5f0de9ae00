"""Forms as pages have them: what a room refuses stands beside the field that it is about."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext, ngettext

from moorage.control.pages.room_texts import said
from moorage.control.refusals import ChangeRefused


class PlainForm(forms.Form):
    """A form whose values a room has the last word on."""

    template_name = "pages/parts/form.html"
    aliases: ClassVar[dict[str, str]] = {}
    """Fields of a room that have another name here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def carries_out(self, change: Callable[[], object]) -> bool:
        """Make a change of valid values; False if it is refused, which is said beside the fields then."""
        try:
            change()
        except ChangeRefused as exc:
            self.take_refusal(exc)
            return False
        return True

    def take_refusal(self, exc: ChangeRefused) -> None:
        """Put what was refused beside its fields."""
        for name, texts in exc.problems.items():
            field = self.aliases.get(name, name)
            for text in texts:
                if field in self.fields:
                    label = self.fields[field].label or field
                    self.add_error(field, f"{label} {gettext(said(text))}")
                else:
                    whole = said(text) if name == "base" else f"{name} {gettext(said(text))}"
                    self.add_error(None, gettext(whole))

    @property
    def mistakes(self) -> str:
        """The number of fields that are wrong, in words."""
        count = len(self.errors)
        return ngettext("%d field has to be changed", "%d fields have to be changed", count) % count
