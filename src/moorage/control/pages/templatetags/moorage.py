"""Small parts of pages: icons, times, sizes, digests and what can be copied."""

from collections.abc import Callable
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from moorage.control.pages.key_pages import COUNT_LIMIT
from moorage.control.usage.rules import shown_size

register = template.Library()

NOTHING = "\N{EN DASH}"
"""It stands where nothing is known."""
_DIGEST_SHOWN = 12
_AGES: tuple[tuple[int, Callable[[int], str]], ...] = (
    (365 * 86400, lambda n: ngettext("%d year", "%d years", n)),
    (30 * 86400, lambda n: ngettext("%d month", "%d months", n)),
    (86400, lambda n: ngettext("%d day", "%d days", n)),
    (3600, lambda n: ngettext("%d hour", "%d hours", n)),
    (60, lambda n: ngettext("%d minute", "%d minutes", n)),
)


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the sprite; a word stands beside it."""
    return format_html(
        '<svg class="i {}" aria-hidden="true" viewBox="0 0 16 16"><use href="#i-{}"/></svg>', extra, name
    )


@register.filter
def size(value: float | str | None) -> str:
    """A number of bytes with three digits and its unit; a dash if it is not known."""
    if value is None or isinstance(value, str):  # A text is what templates have for a name that is not there.
        return NOTHING
    return shown_size(value)


@register.filter
def counted(value: int) -> str:
    """A number of rows that were counted up to a limit."""
    return f"{number_format(min(value, COUNT_LIMIT))}{'+' if value > COUNT_LIMIT else ''}"


@register.filter
def exact(value: datetime | None) -> str:
    """A time, as exact as people write it, in UTC."""
    return f"{format_date(value, 'D j M Y, H:i')} UTC" if value is not None else NOTHING


@register.simple_tag
def moment(value: datetime | str | None, *, is_exact: bool = False) -> str:
    """A time: relative to read, exact on hover."""
    if not isinstance(value, datetime):  # A text is what templates have for a name that is not there.
        return NOTHING
    text, said = exact(value), ""
    if not is_exact:
        said = _relative((timezone.now() - value).total_seconds())
    iso = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if is_exact:
        return format_html('<time datetime="{}">{}</time>', iso, text)
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, text, said)


@register.simple_tag
def day_of(value: datetime | None) -> str:
    """A day, as a heading has it."""
    return format_date(value, _("l, j F Y")) if value is not None else NOTHING


def _relative(seconds: float) -> str:
    away = abs(seconds)
    for length, words in _AGES:
        count = int(away // length)
        if count:
            amount = words(count) % count
            return _("%s ago") % amount if seconds > 0 else _("in %s") % amount
    return _("just now") if seconds >= 0 else _("in a moment")


@register.filter
def unlocalized(value: float) -> str:
    """A number as attributes of SVG have it, in every language."""
    return f"{value:.2f}"


@register.simple_tag
def percent(part: float, whole: float) -> str:
    """The part of a whole in per cent, for an attribute."""
    return unlocalized(100 * part / whole if whole else 0)


@register.filter
def share(value: float) -> str:
    """A part of a whole, from 0 to 1, in whole per cent, cut: what is not done never shows as 100."""
    return _("%d %%") % int(100 * value)


@register.filter
def duration(seconds: float) -> str:
    """A length of time in its largest unit."""
    for length, words in _AGES:
        count = int(seconds // length)
        if count:
            return words(count) % count
    return ngettext("%d second", "%d seconds", int(seconds)) % int(seconds)


@register.simple_tag
def copy(value: str, label: str) -> SafeString:
    """A button that copies *value*; without script it is not shown."""
    name = _("Copy %s") % label
    return format_html(
        '<button type="button" class="copy" data-copy="{}" data-done="{}" data-failed="{}" aria-label="{}" '
        'title="{}">{}</button>',
        value,
        _("Copied"),
        _("The browser did not let the page copy: select the text and copy it yourself."),
        name,
        name,
        icon("copy"),
    )


@register.simple_tag
def command(text: str, label: str) -> SafeString:
    """A command for a terminal, with a button that copies it."""
    shown = format_html_join("\n", "{}", ((_breakable(line),) for line in text.split("\n")))
    return format_html(
        '<div class="cmd"><pre tabindex="0" role="region" aria-label="{}"><code>{}</code></pre>{}</div>',
        label,
        shown,
        copy(text, label),
    )


@register.simple_tag
def digest(value: str, label: str) -> str:
    """A digest: its beginning to read, all of it to copy."""
    if not value:
        return NOTHING
    kind, _colon, rest = value.partition(":")
    return format_html(
        '<span class="pair"><span class="ref" title="{}"><span class="dim">{}:</span>{}</span>{}</span>',
        value,
        kind,
        rest[:_DIGEST_SHOWN],
        copy(value, label),
    )


def _breakable(line: str) -> SafeString:
    """A line that may be broken at its slashes."""
    return format_html_join(mark_safe("/<wbr>"), "{}", ((part,) for part in line.split("/")))
