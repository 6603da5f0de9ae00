"""Registration of this room with Django."""

from django.apps import AppConfig


class UsageRoom(AppConfig):
    """The room ``usage``."""

    name = "moorage.control.usage"
    label = "usage"

    def ready(self) -> None:
        """Have namespaces measured that something has left, or come to."""
        from moorage.control.projects.moves import PLACE_MOVED  # noqa: PLC0415 - models are loaded now
        from moorage.control.usage.changes import note_move  # noqa: PLC0415 - as above

        PLACE_MOVED.connect(note_move, dispatch_uid="usage.moves")
