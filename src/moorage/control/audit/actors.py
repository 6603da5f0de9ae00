"""The actor of a change: a user, or the command line of the machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Someone who changes something. Kept by name too, since a user may be gone when the row is read."""

    user_id: int | None = None
    """None: not a user, but a command on the machine, or a job."""
    name: str
    address: str = ""
    """Address that the request came from; empty without a request."""
    credential: str = ""
    """The kind of credential that came, and its number where it has one: ``personal_access_token 12``."""


COMMAND_LINE = Actor(name="(command line)", credential="command_line")
"""The actor of commands that are run on the machine."""
SYSTEM = Actor(name="(system)")
"""A job, or a rule."""
