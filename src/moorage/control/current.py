"""The configuration of this process: given once, before Django starts, and read by Django's settings alone.

Without one there is a stand-in, so that type checkers and migrations can load the settings: a database in memory and
a secret that ends with the process.
"""

import os
import secrets
from pathlib import Path

from django.apps import apps

from moorage.control.configuration import ControlConfiguration, LoadedControl
from moorage.control.light_start import set_up_django

FILE_VARIABLE = "MOORAGE_CONTROL"
"""Names the file, for commands and servers that are not told it otherwise."""

_given: list[LoadedControl] = []


def current() -> LoadedControl:
    """Return this process's configuration, or the stand-in."""
    if _given:
        return _given[0]
    stand_in = ControlConfiguration(secret=secrets.token_urlsafe(32)).model_copy(
        update={"database": ControlConfiguration().database.model_copy(update={"sqlite": ":memory:"})}
    )
    return LoadedControl(stand_in, Path())


def start_django(loaded: LoadedControl) -> None:
    """Start Django with *loaded*; a second call in one process changes nothing."""
    if apps.ready:
        return
    _given[:] = [loaded]
    os.environ["DJANGO_SETTINGS_MODULE"] = "moorage.control.settings"
    set_up_django()
