"""Registration of this room with Django."""

from django.apps import AppConfig


class PagesRoom(AppConfig):
    """The room ``pages``: templates, styles and texts."""

    name = "moorage.control.pages"
    label = "pages"
