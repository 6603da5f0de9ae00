"""Mistakes of callers about images: what a rule keeps, and what is not there."""

from moorage.errors import Refused


class ImageProtected(Refused):
    """A rule forbids it: to this person, or to anybody."""


class TagMissing(Refused):
    """No such tag."""
