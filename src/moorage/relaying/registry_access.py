"""Access to one side of a copy: a registry, and how it is reached."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from moorage.client.credentials import Credentials
from moorage.client.patience import RegistryPatience
from moorage.client.places import host_of
from moorage.client.streaming import StreamingRemote

_CONNECTIONS_A_JOB = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """A registry, and how it is reached."""

    url: str
    credentials: Callable[[str], Credentials]
    """Those for a repository."""
    context: ssl.SSLContext | None = None
    """The certificates to trust; None: the system's."""
    jobs: int | None = None
    """The most connections at once; None: as many as the run needs."""
    bytes_per_s: float | None = None
    """The most that passes in a second; None: there is no limit."""
    patience: RegistryPatience | None = None

    @property
    def host(self) -> str:
        """The host and the port, for what is said."""
        return host_of(self.url)

    def opened(self, jobs: int, *, pushes: bool = False) -> StreamingRemote:
        """Return it, to be entered, for a run of so many jobs, which *pushes* to it."""

        def credentials(name: str) -> Credentials:
            found = self.credentials(name)
            found.pushes_to = name if pushes else ""
            return found

        return StreamingRemote(
            self.url,
            credentials=credentials,
            context=self.context,
            connections=self.jobs or jobs * _CONNECTIONS_A_JOB,
            patience=self.patience,
        )
