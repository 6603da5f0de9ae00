"""Registration of this room with Django."""

from django.apps import AppConfig


class NamespacesRoom(AppConfig):
    """The room ``namespaces``."""

    name = "moorage.control.namespaces"
    label = "namespaces"
