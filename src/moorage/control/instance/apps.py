"""Registration of this room with Django."""

from django.apps import AppConfig


class InstanceRoom(AppConfig):
    """The room ``instance``."""

    name = "moorage.control.instance"
    label = "instance"
