"""Forms of the sign-in pages as a browser sends them."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.conf import settings
from django.http import HttpResponse
from django.test import Client, override_settings

from moorage.control.accounts.models import User
from moorage.control.accounts.one_time_codes import STEP_S
from moorage.control.accounts.second_factors import add_totp
from moorage.control.audit.actors import COMMAND_LINE
from support.control_rows import PASSWORD

KEY = b"a key of the tests !"
"""Of the authenticator that tests have."""


@contextmanager
def configured(**sections: object) -> Iterator[None]:
    """Have other sections of the configuration until the block ends."""
    loaded = settings.MOORAGE
    configuration = loaded.configuration.model_copy(update=sections)
    with override_settings(MOORAGE=replace(loaded, configuration=configuration)):
        yield


def code_of(key: bytes = KEY, *, steps: int = 0) -> str:
    """The code that an authenticator shows now, or *steps* half minutes later."""
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415 - only here
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415 - as above

    return TOTP(key, 6, SHA1(), STEP_S).generate(int(time.time()) + steps * STEP_S).decode()  # noqa: S303 - RFC 6238


def sign_in(client: Client, user: User | str, password: str = PASSWORD, **values: str) -> HttpResponse:
    """Send the form of sign-in."""
    return client.post("/-/sign-in", {"login": str(user), "password": password, **values})  # type: ignore[return-value] # the stubs' own class


def with_authenticator(user: User) -> User:
    """Give *user* an authenticator with ``KEY``. Its last code was one of the step before this one."""
    add_totp(user, KEY, code_of(steps=-1), by=COMMAND_LINE)
    return user


def is_signed_in(client: Client) -> bool:
    """Return whether *client* sees its own account."""
    return client.get("/-/me/settings").status_code == 200


def session_key(client: Client) -> str:
    """The key that the browser has now; empty: none."""
    found = client.cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found is not None else ""


def csrf_of(text: str) -> str:
    """The secret of a form in a page."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
    assert found is not None
    return found[1]
