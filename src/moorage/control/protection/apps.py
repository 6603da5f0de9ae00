"""Registration of this room with Django."""

from django.apps import AppConfig


class ProtectionRoom(AppConfig):
    """The room ``protection``."""

    name = "moorage.control.protection"
    label = "protection"

    def ready(self) -> None:
        """Have rules about repositories follow them to another path."""
        from moorage.control.projects.moves import PLACE_MOVED  # noqa: PLC0415 - models are loaded now
        from moorage.control.protection.changes import follow_move  # noqa: PLC0415 - as above

        PLACE_MOVED.connect(follow_move, dispatch_uid="protection.moves")
