"""Endpoints of an API, and the one that a path leads to."""

from dataclasses import dataclass

from moorage.oci.names import RepositoryName


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """Something that a path can name. Each is equal to itself only, and made once."""

    path: str
    """As the reference shows it: ``<name>`` stands for a repository."""
    note: str = ""
    """Words behind the path in the reference, such as the specification's numbers."""

    @property
    def title(self) -> str:
        """The heading of the endpoint in the reference."""
        return f"`{self.path}` {self.note}".rstrip()


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, the repository in its path, and the path's last part."""

    endpoint: Endpoint
    name: RepositoryName | None = None
    target: str = ""
    is_odd: bool = False
    """True if no repository gets such a name any more; one that has it already can be read, and taken away."""
