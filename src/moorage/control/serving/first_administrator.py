"""The first administrator: made where there is no user yet, with a password that is in a file until it is changed."""

import secrets
from pathlib import Path

from django.db import transaction

from moorage.atomic_writes import write_whole
from moorage.control.accounts.changes import INITIAL_PASSWORD_NAME, change_password, create_user
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.refusals import ChangeRefused, refused

NAME = "root"

_PASSWORD_BYTES = 18


def make_first_administrator(folder: Path) -> None:
    """Make ``root`` if there is no user; its password is in the file ``initial_password`` of *folder*.

    Of two nodes that start at once, one makes both.

    Raises:
        OSError: the file cannot be written; then there is no user either.
    """
    if User.objects.humans().exists():
        return
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    try:
        with transaction.atomic():
            create_user(NAME, by=COMMAND_LINE, password=password, name="Administrator", is_admin=True)
            # Before the user is there for others: after a crash in between, the next start makes both again.
            write_whole(folder / INITIAL_PASSWORD_NAME, f"{password}\n".encode(), mode=0o600)
    except ChangeRefused:
        if not User.objects.humans().exists():
            raise


def reset_password(username: str, password: str | None = None) -> str:
    """Give a user another password, a random one if none is given; return it. A blocked user stays blocked.

    Raises:
        ChangeRefused: there is no such user, or the password is too easy.
    """
    with transaction.atomic():
        user = User.objects.humans().named(username).first()
        if user is None:
            raise refused("base", f"there is no user {username}")
        chosen = password or secrets.token_urlsafe(_PASSWORD_BYTES)
        change_password(user, chosen, by=COMMAND_LINE)
    return chosen
