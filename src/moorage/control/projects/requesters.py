"""The person or machine behind a request, and the credential that it came with."""

from dataclasses import dataclass

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.accounts.rules import TokenScope
from moorage.control.audit.actors import Actor
from moorage.control.projects.models import DeployToken, JobToken
from moorage.control.projects.rules import CredentialKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Someone who asks for something; without arguments, anybody."""

    credential: CredentialKind = CredentialKind.NONE
    user: User | None = None
    """The user, or the bot of a project's token; a job has the user it runs for; None: anybody, or a deploy token."""
    scopes: frozenset[TokenScope] | None = None
    """None: all that the user may do."""
    token: PersonalAccessToken | None = None
    deploy_token: DeployToken | None = None
    job_token: JobToken | None = None
    address: str = ""

    @property
    def is_anonymous(self) -> bool:
        """True if no credentials came."""
        return self.credential is CredentialKind.NONE

    @property
    def name(self) -> str:
        """The name for logs; empty for anybody."""
        if self.user is not None:
            return self.user.username
        return self.deploy_token.username if self.deploy_token is not None else ""

    @property
    def credential_name(self) -> str:
        """The kind of the credential, and its number where it has one."""
        row = self.token or self.deploy_token or self.job_token
        return f"{self.credential.value} {row.pk}" if row is not None else self.credential.value

    def has_scope(self, *any_of: TokenScope) -> bool:
        """Return whether the credential has one of these scopes, or all."""
        return self.scopes is None or not self.scopes.isdisjoint(any_of)

    def as_actor(self) -> Actor:
        """Return it as the one who changes something."""
        return Actor(
            user_id=self.user.pk if self.user else None,
            name=self.name or "(anybody)",
            address=self.address,
            credential=self.credential_name,
        )


ANYBODY = Requester()
