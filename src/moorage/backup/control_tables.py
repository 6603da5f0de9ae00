"""The control plane's tables as they were for a backup, in a database that is empty.

A command as well, for trials of a backup: Django starts once in a process.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from moorage.backup.backup_folder import BackupRefused
from moorage.control.configuration import LoadedControl, read_control
from moorage.errors import ConfigurationError


def see_that_tables_are_known(loaded: LoadedControl, migrations: Sequence[str], version: str) -> None:
    """Refuse a backup of a newer version, before anything is written.

    Raises:
        BackupRefused: it has had *migrations* that this version does not know.
    """
    _start(loaded)
    from moorage.control.serving.database_opening import unknown_migrations  # noqa: PLC0415 - Django has started

    unknown = unknown_migrations(migrations)
    if unknown:
        msg = (
            f"the backup is of Moorage {version}, whose control plane has migrations that this one does not know "
            f"({', '.join(unknown[:5])}): restore with that version"
        )
        raise BackupRefused(msg)


def make_control_tables(loaded: LoadedControl, migrations: Sequence[str]) -> list[str]:
    """Make the tables that *migrations* make; return the migrations that were added since.

    Raises:
        ConfigurationError: the database does not take it.
    """
    _start(loaded)
    from django.db import connections  # noqa: PLC0415 - Django has started

    from moorage.control.serving.database_opening import (  # noqa: PLC0415 - as above
        apply_some_migrations,
        pending_migrations,
    )

    apply_some_migrations(migrations)
    pending = pending_migrations()
    connections.close_all()
    return pending


def _start(loaded: LoadedControl) -> None:
    from moorage.control.current import start_django  # noqa: PLC0415 - who has no control plane need not wait for Django

    start_django(loaded)


def main() -> None:
    """Make them for the ``control.yml`` and the list of migrations that the arguments name."""
    file, names = map(Path, sys.argv[1:])
    try:
        make_control_tables(read_control(file, os.environ), json.loads(names.read_text()))
    except ConfigurationError as exc:
        sys.exit("; ".join(map(str, exc.mistakes)))


if __name__ == "__main__":
    main()
