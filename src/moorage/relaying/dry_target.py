"""The target of a dry run: asked only what may be read, so a repository that a push would make is not shown."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from moorage.client.streaming import StreamedAnswer
from moorage.oci.names import RepositoryName
from moorage.relaying.registry_side import RegistrySide


@dataclass(frozen=True, slots=True)
class DryTarget(RegistrySide):
    """A target that nothing is pushed to.

    The right to push is not even asked for: some registries make a project when it is.
    """

    note: Callable[[str], object]
    """Hears what the answer does not make certain."""

    async def _ask(self, method: str, url: str, repository: RepositoryName, **headers: str) -> StreamedAnswer:
        # Whoever is not logged in, or has the wrong password, has been told so by an error before.
        answer = await super(DryTarget, self)._ask(method, url, repository, **headers)
        if answer.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return answer
        self.note(
            f"{self.remote.host} does not let you pull from {repository}: as far as a dry run can tell it is not there "
            "yet; a real run needs the right to push to it"
        )
        return answer._replace(status=HTTPStatus.NOT_FOUND)
