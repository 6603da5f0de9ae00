"""Registration of this room with Django."""

from django.apps import AppConfig


class ProtectionRoom(AppConfig):
    """The room ``protection``."""

    name = "moorage.control.protection"
    label = "protection"
