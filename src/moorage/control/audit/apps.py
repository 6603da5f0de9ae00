"""Registration of this room with Django."""

from django.apps import AppConfig


class AuditRoom(AppConfig):
    """The room ``audit``."""

    name = "moorage.control.audit"
    label = "audit"
