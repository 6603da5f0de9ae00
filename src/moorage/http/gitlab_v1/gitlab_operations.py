"""The table of operations of GitLab's API, ``/gitlab/v1/``.

Source: GitLab features V1A-028; GitLab's specification of this API, Authentication.
"""

from collections.abc import Mapping, Sequence

from moorage import __version__
from moorage.auth.access import STATISTICS, Access, Action
from moorage.core.details import SizeScope
from moorage.http import rights
from moorage.http.call import Call
from moorage.http.gitlab_v1 import gitlab_routes as routes
from moorage.http.operations import READING, Api, Handler, Operation
from moorage.web.responses import Response

VERSION: Mapping[str, str] = {"Gitlab-Container-Registry-Version": __version__}
"""Headers by which GitLab knows that there is this API, or that there could be."""


def pull_with_all_below(call: Call) -> Sequence[Access]:
    """To pull from the repository of the path, and from those below it."""
    return (*rights.pull(call), _below(call))


def pull_as_sized(call: Call) -> Sequence[Access]:
    """The same where the size of those below it is asked for, too; else to pull from the repository itself."""
    is_sized = call.query.first("size") == SizeScope.SELF_WITH_DESCENDANTS.value
    return pull_with_all_below(call) if is_sized else rights.pull(call)


def rename(call: Call) -> Sequence[Access]:
    """To give the repository of the path another name, as far as the path tells."""
    return (*rights.push(call), _below(call))


def statistics(call: Call) -> Sequence[Access]:
    """Everything on the statistics."""
    del call
    return (STATISTICS,)


BASE = Operation(endpoint=routes.BASE, methods=READING, wanted=rights.credentials, is_write=False)
SHOW_REPOSITORY = Operation(endpoint=routes.REPOSITORY, methods=READING, wanted=pull_as_sized, is_write=False)
RENAME_REPOSITORY = Operation(endpoint=routes.REPOSITORY, methods=("PATCH",), wanted=rename)
SHOW_TAG = Operation(endpoint=routes.TAG, methods=READING, wanted=rights.pull, is_write=False)
LIST_TAGS = Operation(endpoint=routes.TAGS, methods=READING, wanted=rights.pull, is_write=False)
LIST_REPOSITORIES = Operation(endpoint=routes.REPOSITORIES, methods=READING, wanted=pull_with_all_below, is_write=False)
SHOW_STATISTICS = Operation(endpoint=routes.STATISTICS, methods=READING, wanted=statistics, is_write=False)
REDIRECT = Operation(endpoint=routes.UNSLASHED, methods=READING, wanted=rights.nothing, is_write=False)
REDIRECT_RENAME = Operation(endpoint=routes.UNSLASHED, methods=("PATCH",), wanted=rights.nothing)

OPERATIONS: Sequence[Operation] = (
    BASE,
    SHOW_REPOSITORY,
    RENAME_REPOSITORY,
    SHOW_TAG,
    LIST_TAGS,
    LIST_REPOSITORIES,
    SHOW_STATISTICS,
    REDIRECT,
    REDIRECT_RENAME,
)


def gitlab_api(handlers: Mapping[Operation, Handler]) -> Api:
    """Make the API of its handlers."""
    return Api(routes.match, OPERATIONS, handlers)


def gitlab_api_without_database() -> Api:
    """Make the API of a registry without a metadata database: 404 for all, also for a rename of anything."""
    reads = [row for row in OPERATIONS if not row.is_write]
    renames = [
        Operation(
            endpoint=row.endpoint, methods=("PATCH",), wanted=rename if "<name>" in row.endpoint.path else row.wanted
        )
        for row in reads
    ]
    rows = [*reads, *renames]
    return Api(routes.match, rows, dict.fromkeys(rows, _absent))


async def _absent(call: Call) -> Response:
    """There is no metadata database, so there is no such API."""
    del call
    return Response(404, dict(VERSION))


def _below(call: Call) -> Access:
    return Access("repository", f"{call.name}/*", Action.PULL)
