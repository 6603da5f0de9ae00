"""Access that the control plane gives itself for a call of its own: as little as the call needs.

Source: GitLab features TKN-023.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from moorage.auth.claims import AccessClaim, Meta, past_claim

MintToken = Callable[[Sequence[AccessClaim]], str]
"""Makes a short-lived token with this access; an empty text for a registry that asks for none."""


def whole(repository: str) -> Sequence[AccessClaim]:
    """Return the right to do everything with one repository."""
    return (_claim(repository, "*"),)


def pulling(repository: str) -> Sequence[AccessClaim]:
    """Return the right to read one repository."""
    return (_claim(repository, "pull"),)


def pulling_below(path: str) -> Sequence[AccessClaim]:
    """Return the right to read the repository *path* and all below it."""
    meta = Meta(project_path=path)
    return (_claim(path, "pull", meta=meta), _claim(f"{path}/*", "pull", meta=meta))


def moving(path: str, *, into: str = "") -> Sequence[AccessClaim]:
    """Return the right to rename *path* and all below it, or to move it *into* another namespace."""
    meta = Meta(project_path=path)
    claims = [_claim(path, "pull", "push", meta=meta), _claim(f"{path}/*", "pull", "push", meta=meta)]
    if into:
        claims.append(_claim(f"{into}/*", "push", meta=meta))
    return claims


def changing(repository: str, *, since: datetime | None = None) -> Sequence[AccessClaim]:
    """Return the rights that an undo in one repository needs; *since*: nothing older comes back."""
    meta = Meta(history_since=past_claim(since)) if since is not None else None
    return (_claim(repository, "pull", "push", "delete", meta=meta),)


def catalogue() -> Sequence[AccessClaim]:
    """Return the right to read what is of all repositories together, such as garbage collection."""
    return (AccessClaim(type="registry", name="catalog", actions=["*"]),)


def statistics() -> Sequence[AccessClaim]:
    """Return the right to read what the registry says of itself."""
    return (AccessClaim(type="registry", name="statistics", actions=["*"]),)


def nothing() -> Sequence[AccessClaim]:
    """Return no right but to be known."""
    return ()


def _claim(name: str, *actions: str, meta: Meta | None = None) -> AccessClaim:
    return AccessClaim(type="repository", name=name, actions=list(actions), meta=meta)
