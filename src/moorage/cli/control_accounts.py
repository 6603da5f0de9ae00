"""``moorage control user`` and ``moorage control token``."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.control_rows import (
    ConfigOption,
    Row,
    group_at,
    not_there,
    open_database,
    print_row,
    print_rows,
    project_at,
    user_named,
)
from moorage.cli.login import read_password
from moorage.cli.options import AsJSON
from moorage.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from moorage.control.accounts.models import PersonalAccessToken, User

user_app = typer.Typer(help="Users.", no_args_is_help=True, rich_markup_mode=None)
token_app = typer.Typer(help="Access tokens.", no_args_is_help=True, rich_markup_mode=None)

Username = Annotated[str, typer.Argument(metavar="USER", help="The user's name.")]
TokenNumber = Annotated[int, typer.Argument(metavar="ID", help="The token's number, as the list has it.")]


@user_app.command("list")
def list_users(*, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the users."""
    open_database(config)
    from moorage.control.accounts.models import User  # noqa: PLC0415 - Django has started

    print_rows([_user_row(user) for user in User.objects.humans().order_by("id")], as_json=as_json, things="users")


@user_app.command("create")
def create(
    username: Username,
    *,
    email: Annotated[str, typer.Option(help="The user's address.")] = "",
    name: Annotated[str, typer.Option(help="The user's full name.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="Make an administrator.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; else there is none.")
    ] = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Make a user."""
    open_database(config)
    from moorage.control.accounts.changes import create_user  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    password = read_password(from_input=True) if password_stdin else None
    user = create_user(username, by=COMMAND_LINE, password=password, name=name, email=email, is_admin=admin)
    print_row(_user_row(user), as_json=as_json, text=lambda: f"{user.username} is a user now")


@user_app.command("block")
def block(username: Username, *, config: ConfigOption = None) -> None:
    """Keep a user out: sign-in, sessions and tokens end at once."""
    open_database(config)
    from moorage.control.accounts.changes import block_user  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    block_user(user_named(username), by=COMMAND_LINE)
    print(f"{username} is blocked")


@user_app.command("unblock")
def unblock(username: Username, *, config: ConfigOption = None) -> None:
    """Let a user in again."""
    open_database(config)
    from moorage.control.accounts.changes import unblock_user  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    unblock_user(user_named(username), by=COMMAND_LINE)
    print(f"{username} may sign in again")


@user_app.command("disable-two-factor")
def disable_two_factor(username: Username, *, config: ConfigOption = None) -> None:
    """Take away second factors that a user has lost."""
    open_database(config)
    from moorage.control.accounts.second_factors import remove_all_factors  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    count = remove_all_factors(user_named(username), by=COMMAND_LINE)
    print(f"{username} has no second factor now; {count} were taken away")


@user_app.command("delete")
def delete(username: Username, *, config: ConfigOption = None) -> None:
    """Delete a user who has no projects left."""
    open_database(config)
    from moorage.control.accounts.changes import delete_user  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    delete_user(user_named(username), by=COMMAND_LINE)
    print(f"{username} is deleted")


@token_app.command("list")
def list_tokens(username: Username, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the tokens of a user."""
    open_database(config)
    rows = [_token_row(token) for token in user_named(username).tokens.select_related("user").order_by("id")]
    print_rows(rows, as_json=as_json, things=f"tokens of {username}")


@token_app.command("create")
def create_token(  # noqa: PLR0913 - each is an option of the command
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="A user; with --project or --group the path of one.")],
    *,
    name: Annotated[str, typer.Option(help="What the token is for.")],
    scope: Annotated[list[str], typer.Option(help="A right that it has, such as read_registry; may be repeated.")],
    expires: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="First day on which it is not taken; else in a year.")
    ] = "",
    project: Annotated[bool, typer.Option("--project", help="Make it for a project.")] = False,
    group: Annotated[bool, typer.Option("--group", help="Make it for a group.")] = False,
    role: Annotated[int, typer.Option(help="Role of a project's or group's token: 10 to 50.")] = 40,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Make an access token, and print it once."""
    ends_at = _day(expires)
    open_database(config)
    from moorage.control.accounts.token_changes import create_token as create_personal  # noqa: PLC0415 - Django runs
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from moorage.control.projects.rules import AccessLevel  # noqa: PLC0415 - as above
    from moorage.control.projects.token_changes import AccessTokenWish, create_access_token  # noqa: PLC0415 - as above

    if project or group:
        if role not in set(AccessLevel) - {0}:
            raise ConfigurationError([Mistake("--role", "one of 5, 10, 15, 20, 30, 40, 50 is needed")])
        place = project_at(owner) if project else group_at(owner)
        wish = AccessTokenWish(name=name, scopes=scope, access_level=AccessLevel(role), expires_at=ends_at)
        issued = create_access_token(place, wish, by=COMMAND_LINE)
    else:
        issued = create_personal(user_named(owner), name, scope, by=COMMAND_LINE, expires_at=ends_at)
    row = {"token": issued.secret, **_token_row(issued.token)}
    print_row(row, as_json=as_json, text=lambda: issued.secret)


@token_app.command("revoke")
def revoke(number: TokenNumber, *, config: ConfigOption = None) -> None:
    """Take a token back, for good."""
    open_database(config)
    from moorage.control.accounts.token_changes import revoke_token  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    revoke_token(_token(number), by=COMMAND_LINE)
    print("the token is not taken any more")


@token_app.command("rotate")
def rotate(number: TokenNumber, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """Put a new token in the place of one, and print it once."""
    open_database(config)
    from moorage.control.accounts.token_changes import rotate_token  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    issued = rotate_token(_token(number), by=COMMAND_LINE)
    print_row({"token": issued.secret, **_token_row(issued.token)}, as_json=as_json, text=lambda: issued.secret)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigurationError([Mistake("--expires", "a day such as 2027-01-31 is needed")]) from None


def _token(number: int) -> "PersonalAccessToken":
    from moorage.control.accounts.models import PersonalAccessToken  # noqa: PLC0415 - Django has started

    found = PersonalAccessToken.objects.select_related("user").filter(pk=number).first()
    if found is None:
        raise not_there("token", number)
    return found


def _user_row(user: "User") -> Row:
    return {
        "id": user.pk,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "state": user.state,
        "is_admin": user.is_admin,
    }


def _token_row(token: "PersonalAccessToken") -> Row:
    return {
        "id": token.pk,
        "user": token.user.username,
        "name": token.name,
        "scopes": token.scopes,
        "expires_at": token.expires_at.isoformat(),
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
        "revoked": token.revoked_at is not None,
    }
