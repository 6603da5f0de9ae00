"""Registration of this room with Django."""

from django.apps import AppConfig


class PoliciesRoom(AppConfig):
    """The room ``policies``."""

    name = "moorage.control.policies"
    label = "policies"
