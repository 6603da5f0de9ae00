"""Steps of tests of sign-in by a directory."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.test import Client
from django.utils import timezone

from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.sign_in.directory_users import DirectoryChecks
from support.sign_in_pages import sign_in
from support.slapd import PASSWORD

Configure = Callable[..., None]
HOUR = timedelta(hours=1)


def checked(at: datetime | None = None) -> int:
    """Do what is due of the checks, now or at another moment."""
    return run_until_idle([DirectoryChecks()], Turn(clock=lambda: at or timezone.now()))


def said_of(client: Client, login: str = "ada", password: str = PASSWORD) -> tuple[int, str]:
    answer = sign_in(client, login, password)
    return answer.status_code, answer.content.decode()
