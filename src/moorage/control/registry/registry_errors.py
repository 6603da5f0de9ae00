"""Errors of the registry's client: it did not answer, it refused, or its answer makes no sense."""

from moorage.errors import BackendError


class RegistryError(BackendError):
    """The registry could not do what it was asked for. Trying again may help."""


class RegistryUnreachable(RegistryError):
    """The registry did not answer, or not in time."""


class RegistryNonsense(RegistryError):
    """An answer that the protocol does not allow, or one that is larger than is read."""


class RegistryRefused(RegistryError):
    """The registry answered with an error."""

    def __init__(self, status: int, *, code: str = "", message: str = "") -> None:
        """Keep HTTP's *status* and the registry's own *code*, such as ``NAME_UNKNOWN``."""
        said = f"{f' {code}' if code else ''}{f': {message}' if message else ''}"
        super().__init__(f"the registry answered {status}{said}")
        self.status = status
        self.code = code
        self.message = message


class RegistryUnknown(RegistryRefused):
    """A repository, tag, manifest or blob that the registry does not have."""


class RegistryTagChanged(RegistryRefused):
    """A tag is not what the request said that it has to be."""


class RegistryForbids(RegistryRefused):
    """The token was not accepted, or does not allow it; or the tag is protected or immutable."""


class RegistryReadOnly(RegistryRefused):
    """The registry is read-only for maintenance, and takes the same later. Only Moorage's own says so."""


class RegistryIsOther(RegistryError):
    """The registry has no GitLab API, or has no metadata database, and what was asked for needs it."""


class TooManyPages(RegistryError):
    """A list that does not end."""
