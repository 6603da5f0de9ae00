"""The files of the token server, read in one way by the server and by ``moorage token explain``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage.auth.passwords import FILE_LIMIT_BYTES as USERS_LIMIT_BYTES
from moorage.auth.passwords import PasswordFile
from moorage.auth.watched import Watched
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.token_server.rules import FILE_LIMIT_BYTES as RULES_LIMIT_BYTES
from moorage.token_server.rules import Rules, RulesInvalid
from moorage.token_server.settings import TokenServerSettings


def open_users(settings: TokenServerSettings) -> Watched[PasswordFile]:
    """Open the file of users, who can log in.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    with reading("users", settings.users):
        return Watched(Path(settings.users), PasswordFile.parse, limit_bytes=USERS_LIMIT_BYTES)


def open_rules(settings: TokenServerSettings) -> Watched[Rules]:
    """Open the file of rules, which say who may do what.

    Raises:
        ConfigurationError: the file cannot be used; with every mistake.
    """
    with reading("rules", settings.rules):
        return Watched(Path(settings.rules), Rules.parse, limit_bytes=RULES_LIMIT_BYTES)


@contextmanager
def reading(key: str, path: str) -> Iterator[None]:
    """Whatever goes wrong with a file is a mistake at its key.

    Raises:
        ConfigurationError: something did.
    """
    try:
        yield
    except RulesInvalid as exc:
        mistakes = [Mistake(f"{path}: {mistake.path}", mistake.message) for mistake in exc.mistakes]
        raise ConfigurationError(mistakes) from None
    except OSError as exc:
        file = exc.filename or path
        raise ConfigurationError([Mistake(key, f"cannot use {file}: {reason_of(exc, file, 'read')}")]) from None
    except ValueError as exc:
        raise ConfigurationError([Mistake(key, f"{path} cannot be used: {exc}")]) from None
