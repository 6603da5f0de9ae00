"""Registration of this room with Django."""

from django.apps import AppConfig


class UsageRoom(AppConfig):
    """The room ``usage``."""

    name = "moorage.control.usage"
    label = "usage"
