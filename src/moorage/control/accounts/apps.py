"""Registration of this room with Django."""

from django.apps import AppConfig


class AccountsRoom(AppConfig):
    """The room ``accounts``."""

    name = "moorage.control.accounts"
    label = "accounts"
