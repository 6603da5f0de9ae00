"""Registration of this room with Django."""

from django.apps import AppConfig


class TokensRoom(AppConfig):
    """The room ``tokens``; it has no tables."""

    name = "moorage.control.tokens"
    label = "tokens"
