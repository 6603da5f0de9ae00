"""Registration of this room with Django."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class SignInRoom(AppConfig):
    """The room ``sign_in``."""

    name = "moorage.control.sign_in"
    label = "sign_in"

    def ready(self) -> None:
        """Have each sign-in written down, whichever way it came."""
        from moorage.control.sign_in.sessions import note_session  # noqa: PLC0415 - models are not there before

        user_logged_in.connect(note_session, dispatch_uid="sign_in.sessions")
