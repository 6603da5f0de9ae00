"""Registration of this room with Django."""

from django.apps import AppConfig


class ProjectsRoom(AppConfig):
    """The room ``projects``."""

    name = "moorage.control.projects"
    label = "projects"
