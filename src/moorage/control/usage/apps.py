"""Registration of this room with Django."""

from django.apps import AppConfig


class UsageRoom(AppConfig):
    """The room ``usage``."""

    name = "moorage.control.usage"
    label = "usage"

    def ready(self) -> None:
        """Have namespaces measured that something has left, or come to, or was deleted in."""
        from django.db.models.signals import post_delete  # noqa: PLC0415 - as below

        from moorage.control.projects.models import Project  # noqa: PLC0415 - as below
        from moorage.control.projects.moves import PLACE_MOVED  # noqa: PLC0415 - models are loaded now
        from moorage.control.usage.changes import note_deletion, note_move  # noqa: PLC0415 - as above

        PLACE_MOVED.connect(note_move, dispatch_uid="usage.moves")
        post_delete.connect(note_deletion, sender=Project, dispatch_uid="usage.deletions")
