"""A control plane in this process: its configuration, and Django over a database that is empty for each test.

Django can be started once in a process, and models can be imported only then: ``tests/control/conftest.py`` starts it
as it is loaded. Rows are made by ``support.control_rows``.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.core.management import call_command
from django.db import connections, transaction

from moorage.control.configuration import LoadedControl, read_control
from moorage.control.current import start_django
from moorage.token_server.key_ring import KeyFolder
from support.surroundings import new_folder

CONTROL_YML = """\
http: {{host: "http://control.test"}}
database: {{sqlite: control.db}}
secret: a-secret-of-tests-that-is-long-enough
registry:
  enabled: true
  host: registry.test
  port: 5000
  api_url: {api_url}
  key: keys
  issuer: moorage-control
  notification_secret: secret-of-events
log: text
"""


def write_site(folder: Path, *, api_url: str = "http://127.0.0.1:1/") -> Path:
    """Write a ``control.yml`` and its keys below *folder*; return the file."""
    KeyFolder(folder / "keys").prepare(time.time())
    file = folder / "control.yml"
    file.write_text(CONTROL_YML.format(api_url=api_url))
    return file


@cache
def start_site() -> LoadedControl:
    """Start Django in this process, over an empty database in a folder that ends with the run."""
    loaded = read_control(write_site(new_folder()), os.environ)
    start_django(loaded)
    call_command("migrate", verbosity=0)
    connections.close_all()
    return loaded


@contextmanager
def taken_back() -> Iterator[None]:
    """Whatever is written to the database meanwhile is taken back. What waits for a commit is not done."""
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        connections.close_all()


@contextmanager
def wiped_after() -> Iterator[None]:
    """Whatever is written meanwhile is committed, seen by other threads, and deleted afterwards."""
    try:
        yield
    finally:
        call_command("flush", verbosity=0, interactive=False)
        connections.close_all()
