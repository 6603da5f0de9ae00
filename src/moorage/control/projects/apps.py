"""Registration of this room with Django."""

from django.apps import AppConfig


class ProjectsRoom(AppConfig):
    """The room ``projects``."""

    name = "moorage.control.projects"
    label = "projects"

    def ready(self) -> None:
        """Have no group be nobody's when a person is deleted."""
        from moorage.control.accounts.changes import USER_LEAVES  # noqa: PLC0415 - models are loaded now
        from moorage.control.projects.members import keep_groups_owned  # noqa: PLC0415 - as above

        USER_LEAVES.connect(keep_groups_owned, dispatch_uid="projects.owners")
