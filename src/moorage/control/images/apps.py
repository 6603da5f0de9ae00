"""Registration of this room with Django."""

from django.apps import AppConfig


class ImagesRoom(AppConfig):
    """The room ``images``."""

    name = "moorage.control.images"
    label = "images"
