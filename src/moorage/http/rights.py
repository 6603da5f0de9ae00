"""Rights that an operation's row can ask for."""

from collections.abc import Sequence

from moorage.auth.access import CATALOGUE, Access, Action
from moorage.http.call import Call


def nothing(call: Call) -> None:
    """Not even credentials."""
    del call


def credentials(call: Call) -> Sequence[Access]:
    """Any credentials that are accepted."""
    del call
    return ()


def catalogue(call: Call) -> Sequence[Access]:
    """Everything on the catalogue."""
    del call
    return (CATALOGUE,)


def pull(call: Call) -> Sequence[Access]:
    """To pull from the repository of the path."""
    return Access.repository(call.name, Action.PULL)


def push(call: Call) -> Sequence[Access]:
    """To push to the repository of the path. Source: GitLab features HTP-011."""
    return Access.repository(call.name, Action.PULL, Action.PUSH)


def delete(call: Call) -> Sequence[Access]:
    """To delete in the repository of the path."""
    return Access.repository(call.name, Action.DELETE)
