"""Registration of this room with Django."""

from django.apps import AppConfig


class ImagesRoom(AppConfig):
    """The room ``images``."""

    name = "moorage.control.images"
    label = "images"

    def ready(self) -> None:
        """Have nothing come into a group that goes, as it would go with it; and paths noted that are left."""
        from django.db.models.signals import pre_delete  # noqa: PLC0415 - models are loaded now

        from moorage.control.images.late_pushes import note_deletion, note_move  # noqa: PLC0415 - as above
        from moorage.control.images.moving_now import refuse_what_goes  # noqa: PLC0415 - as above
        from moorage.control.namespaces.entering import NAMESPACE_ENTERED  # noqa: PLC0415 - as above
        from moorage.control.projects.models import Project  # noqa: PLC0415 - as above
        from moorage.control.projects.moves import PLACE_MOVED  # noqa: PLC0415 - as above

        NAMESPACE_ENTERED.connect(refuse_what_goes, dispatch_uid="images.deletions")
        PLACE_MOVED.connect(note_move, dispatch_uid="images.left_paths")
        pre_delete.connect(note_deletion, sender=Project, dispatch_uid="images.left_paths")
