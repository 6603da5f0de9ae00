"""``moorage token``: a small token server, its keys, and what its rules say."""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.options import AsJSON
from moorage.config.durations import format_duration, parse_duration
from moorage.errors import ConfigurationError, Mistake
from moorage.left_out import import_lightly
from moorage.server.held_signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.control.tokens.explaining import ExplainedAction
    from moorage.token_server.explaining import Explained

token_app = typer.Typer(
    help="A small token server, for sites whose rules fit into a file.", no_args_is_help=True, rich_markup_mode=None
)

_CONTROL_KEYS = frozenset({"registry", "database", "secret", "secretfile", "gitlab"})
"""Keys of a control.yml that a token server's file does not have."""
_FILE_LIMIT_BYTES = 1 << 20

SettingsFile = Annotated[Path, typer.Argument(metavar="SETTINGS", help="The token server's file.")]


@token_app.command()
def serve(settings: SettingsFile) -> None:
    """Start the token server."""
    hold_signals()
    import_lightly()
    from moorage.starting.token_server_start import start_token_server  # noqa: PLC0415 - other commands need not wait

    raise typer.Exit(start_token_server(settings))


@token_app.command()
def rotate(
    settings: SettingsFile,
    *,
    after: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How long the registries may take to get the new public files."),
    ] = "10s",
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Drop the old keys and all refresh tokens at once.")
    ] = False,
) -> None:
    """Make a new key. The old one is trusted until the last token that it has signed has ended."""
    from moorage.token_server.key_ring import KeyFolder  # noqa: PLC0415 - other commands need not wait
    from moorage.token_server.settings import TokenServerSettings  # noqa: PLC0415 - as above

    found = TokenServerSettings.read(settings)
    try:
        delay = parse_duration(after)
    except ValueError as exc:
        raise ConfigurationError([Mistake("--after", str(exc))]) from None
    if delay < timedelta(0):
        raise ConfigurationError([Mistake("--after", "a duration of at least 0 is needed")])
    folder, now = KeyFolder(Path(found.keys)), time.time()
    try:
        if folder.prepare(now):
            print(f"the first keys are in {found.keys}")
            return
        folder.rotate(now, delay=delay, is_compromised=compromised)
    except (OSError, ValueError) as exc:
        raise ConfigurationError([Mistake("keys", f"{found.keys} cannot be used: {exc}")]) from None
    if compromised:
        print("a new key signs from now on; tokens of the old ones and all refresh tokens are void")
    else:
        print(f"a new key signs in {format_duration(delay)}; the old one is trusted until its last token has ended")


@token_app.command()
def explain(
    settings: Annotated[
        Path, typer.Argument(metavar="SETTINGS", help="The token server's file, or the control plane's control.yml.")
    ],
    user: Annotated[
        str,
        typer.Argument(
            metavar="USER",
            help="A user; `anonymous` is somebody without a password. With a control.yml a deploy token's name too, "
            "and `-` is whoever has the token that is read from standard input.",
        ),
    ],
    scope: Annotated[list[str], typer.Argument(metavar="SCOPE...", help="Such as repository:group/app:pull,push")],
    *,
    token_scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="As if the user came with a personal access token of this scope."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Say what allows each action, or why nothing does; status 1 if one is denied."""
    is_control = _is_control(settings)
    if not is_control and (token_scope or user == "-"):
        message = "belongs to a control.yml; the users of a token server have passwords only"
        raise ConfigurationError([Mistake("--token-scope" if token_scope else "USER", message)])
    answers: Sequence[Explained | ExplainedAction]
    if is_control:
        answers = _explained_by_control(settings, user, scope, token_scope or ())
    else:
        answers = _explained_by_rules(settings, user, scope)
    if as_json:
        print(json.dumps([answer._asdict() for answer in answers], indent=2))
    else:
        for answer in answers:
            mark = "allowed" if answer.allowed else "denied"
            print(f"{answer.scope} {answer.action}: {mark}: {answer.reason}")
    sys.stdout.flush()
    raise typer.Exit(0 if all(answer.allowed for answer in answers) else 1)


def _explained_by_rules(settings: Path, user: str, scopes: list[str]) -> "Sequence[Explained]":
    from moorage.token_server.explaining import concerns_about, explain_all  # noqa: PLC0415 - other commands need not wait

    answers = explain_all(settings, user, scopes)
    for concern in concerns_about(settings, user):
        print(f"warning: {concern}", file=sys.stderr)
    return answers


def _explained_by_control(
    settings: Path, user: str, scopes: list[str], token_scopes: "Sequence[str]"
) -> "Sequence[ExplainedAction]":
    from moorage.control.configuration import read_control  # noqa: PLC0415 - other commands need not wait
    from moorage.control.current import start_django  # noqa: PLC0415 - as above

    start_django(read_control(settings, os.environ))
    from moorage.control.tokens.explaining import (  # noqa: PLC0415 - Django has to be started before
        explain_access,
        requester_named,
        requester_with,
        telling_of_the_database,
    )

    with telling_of_the_database():
        who = requester_with(sys.stdin.readline().strip()) if user == "-" else requester_named(user, token_scopes)
        return explain_access(who, scopes)


def _is_control(path: Path) -> bool:
    """Tell a control.yml from a token server's file; mistakes in either are said by its reader."""
    from moorage.config.documents import NotYAML, read_document  # noqa: PLC0415 - other commands need not wait

    try:
        with path.open("rb") as stream:
            found = read_document(stream.read(_FILE_LIMIT_BYTES).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, NotYAML):
        return False
    return isinstance(found, dict) and not _CONTROL_KEYS.isdisjoint(map(str, found))
