"""Registration of this room with Django."""

from django.apps import AppConfig


class ImagesRoom(AppConfig):
    """The room ``images``."""

    name = "moorage.control.images"
    label = "images"

    def ready(self) -> None:
        """Have nothing come into a group that goes, as it would go with it."""
        from moorage.control.images.moving_now import refuse_what_goes  # noqa: PLC0415 - models are loaded now
        from moorage.control.namespaces.entering import NAMESPACE_ENTERED  # noqa: PLC0415 - as above

        NAMESPACE_ENTERED.connect(refuse_what_goes, dispatch_uid="images.deletions")
