"""Mistakes of callers of the control plane: values that are not taken, and what is not there."""

from collections.abc import Mapping, Sequence

from moorage.errors import Refused


class ChangeRefused(Refused):
    """A change that the caller asked for and that cannot be made; nothing was changed.

    ``problems`` has GitLab's form: the field, and what is wrong with it. ``base`` stands for none in particular.
    """

    def __init__(self, problems: Mapping[str, Sequence[str]]) -> None:
        self.problems = {field: list(found) for field, found in problems.items()}
        said = [f"{field} {text}" if field != "base" else text for field, found in problems.items() for text in found]
        super().__init__("; ".join(said))


def refused(field: str, message: str) -> ChangeRefused:
    """Make the refusal of one field."""
    return ChangeRefused({field: [message]})


class CredentialsRefused(Refused):
    """Credentials that are nobody's: wrong, revoked, expired, or of someone who is blocked. Which, is not said."""


class AccountNeeded(CredentialsRefused):
    """A right password of a directory, of someone who has no account here yet: the first sign-in makes it."""


class PasswordChangeNeeded(CredentialsRefused):
    """A right password of a directory, which takes it no more until it is changed there."""


class PersonalTokenNeeded(CredentialsRefused):
    """A right password of someone for whom it is not enough: a second factor is there, or has to be."""
