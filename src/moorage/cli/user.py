"""``moorage user``: the users in a file of passwords, which only this command need know how to write."""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.login import FromInput, read_password
from moorage.cli.tables import say_none
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of

user_app = typer.Typer(
    help="Users in a file of passwords (auth.htpasswd.path).", no_args_is_help=True, rich_markup_mode=None
)

PasswordFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file that auth.htpasswd.path names.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]

_BCRYPT_LIMIT_BYTES = 72
_NAME = re.compile(r"[^:\s#\x00-\x1f\x7f][^:\x00-\x1f\x7f]*")


@user_app.command()
def add(
    file: PasswordFile,
    name: Name,
    *,
    update: Annotated[bool, typer.Option("--update", help="Give a user who is there a new password.")] = False,
    password_stdin: FromInput = False,
) -> None:
    """Add a user; with --update, give one a new password. Example: moorage user add htpasswd ada."""
    import bcrypt  # noqa: PLC0415 - other commands need not wait for it

    if not _NAME.fullmatch(name):
        msg = f"{name} cannot be a user: no colon, no space in front and no control characters"
        raise typer.BadParameter(msg)
    lines = _lines(file)
    kept = [line for line in lines if _user(line) != name.encode()]
    is_there = len(kept) < len(lines)
    if is_there and not update:
        raise ConfigurationError([Mistake("", f"{file} has a user {name} already; --update gives a new password")])
    password = read_password(from_input=password_stdin, twice=True).encode()
    if len(password) > _BCRYPT_LIMIT_BYTES:
        msg = f"the password has more than {_BCRYPT_LIMIT_BYTES} bytes, which bcrypt cannot tell apart"
        raise typer.BadParameter(msg)
    if b"\0" in password:
        msg = "the password has a zero byte, which bcrypt would end at"
        raise typer.BadParameter(msg)
    _write(file, [*kept, name.encode() + b":" + bcrypt.hashpw(password, bcrypt.gensalt())])
    print(f"{name} has a new password" if is_there else f"{name} is added")


@user_app.command("list")
def list_users(file: PasswordFile) -> None:
    """List the users, one a line. Example: moorage user list htpasswd."""
    users = [user for line in _lines(file, must_exist=True) if (user := _user(line))]
    for user in users:
        print(user.decode(errors="replace"))
    if not users:
        say_none(f"users in {file}")


@user_app.command()
def remove(file: PasswordFile, name: Name) -> None:
    """Remove a user. Example: moorage user remove htpasswd ada."""
    lines = _lines(file, must_exist=True)
    kept = [line for line in lines if _user(line) != name.encode()]
    if len(kept) == len(lines):
        raise ConfigurationError([Mistake("", f"there is no user {name} in {file}")])
    _write(file, kept)
    print(f"{name} is removed")


def _lines(file: Path, *, must_exist: bool = False) -> Sequence[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) and not must_exist:
            return ()
        raise ConfigurationError([Mistake("", f"cannot read {file}: {reason_of(exc, file, 'read')}")]) from exc


def _user(line: bytes) -> bytes:
    """The user of a line; empty: it is a comment, or empty."""
    name, colon, _ = line.partition(b":")
    return name.strip() if colon and not line.startswith(b"#") else b""


def _write(file: Path, lines: Sequence[bytes]) -> None:
    """Replace the file at once. Who may read it stays as it was, as the registry has to; a new one is its owner's."""
    target = file.resolve()
    try:
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(b"".join(line + b"\n" for line in lines))
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileNotFoundError):
                before = target.stat()
                os.chown(name, before.st_uid, before.st_gid)
                Path(name).chmod(stat.S_IMODE(before.st_mode) & 0o777)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigurationError(
            [Mistake("", f"cannot write {file}: {reason_of(exc, target.parent, 'write')}")]
        ) from exc
