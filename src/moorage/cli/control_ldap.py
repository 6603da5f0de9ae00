"""``moorage control ldap``: are the directories of the configuration reached, and whom do they show."""

import os
import sys
from typing import Annotated

import typer

from moorage.cli.control_rows import ConfigOption, Row, print_rows
from moorage.cli.control_serving import control_file
from moorage.cli.options import AsJSON
from moorage.errors import ConfigurationError, Mistake, Refused

ldap_app = typer.Typer(help="Sign-in by LDAP.", no_args_is_help=True, rich_markup_mode=None)

_LIMIT_MOST = 1000


@ldap_app.command("check")
def check(
    limit: Annotated[
        int, typer.Argument(min=1, max=_LIMIT_MOST, metavar="COUNT", help="How many people of each to show.")
    ] = 100,
    *,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Bind to each directory of the configuration, and show some of those who may sign in by it."""
    from moorage.control.configuration import read_control  # noqa: PLC0415 - other commands need not wait
    from moorage.control.ldap.ldap_client import LDAPClient  # noqa: PLC0415 - as above
    from moorage.control.ldap.people import DirectoryUnavailable  # noqa: PLC0415 - as above

    servers = read_control(control_file(config), os.environ).configuration.ldap.used
    if not servers:
        raise ConfigurationError([Mistake("ldap.enabled", "is not true, so that nobody signs in by LDAP")])
    rows: list[Row] = []
    failures: list[str] = []
    for provider, keys in servers.items():
        silent: list[str] = []
        try:
            people = LDAPClient(provider, keys, tell=silent.append).people(limit)
        except DirectoryUnavailable as exc:
            failures.append(f"{provider}: {exc}")
            continue
        for reason in silent:
            print(f"warning: {provider}: {reason}", file=sys.stderr)
        rows += [
            {
                "server": provider,
                "username": one.username,
                "email": one.email,
                "disabled": one.is_disabled,
                "dn": one.dn,
            }
            for one in people
        ]
        if not people:
            failures.append(f"{provider}: it shows nobody below base who has {keys.uid} and meets user_filter")
    print_rows(rows, as_json=as_json, things="people in a directory")
    if failures:
        raise Refused("; ".join(failures))
