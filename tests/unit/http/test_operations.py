"""One row in a table is a whole operation: its path, its rights, its switches and its description come from the row."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from moorage.auth.access import Action
from moorage.auth.guards import Guard, OpenGuard
from moorage.errors import NameUnknown
from moorage.http import rights
from moorage.http.app import App, ApplicationRules
from moorage.http.call import Call
from moorage.http.endpoints import Endpoint
from moorage.http.moorage_v1.moorage_api import EVERY_OPERATION, moorage_api
from moorage.http.moorage_v1.moorage_operations import OPENAPI, on_asked
from moorage.http.moorage_v1.requests import Asked, RepositoryText
from moorage.http.operations import READING, Api, Documentation, Operation
from moorage.http.urls import Urls
from moorage.telemetry import LogSettings
from moorage.web.access_log import AccessLog
from moorage.web.connection import ConnectionServer
from moorage.web.responses import Response
from support import registry_client
from support.registry_client import RegistryClient
from support.tokens import REALM, SERVICE, Issuer

Send = Callable[[str, str], Awaitable[registry_client.Response]]
Serve = Callable[..., Awaitable[Send]]


class SweepQuery(Asked):
    """The choice of a repository."""

    repository: RepositoryText = Field(description="Which repository to sweep.")


class Sweep(Asked):
    """Options for a sweep."""

    depth: int = Field(1, description="How deep.")


class Swept(BaseModel):
    """The result of a sweep."""

    count: int = Field(description="How many went.")


SWEEP = Operation(
    endpoint=Endpoint("/moorage/v1/sweep"),
    methods=("POST",),
    wanted=on_asked(Action.DELETE),
    deletes=True,
    documented=Documentation(
        id="sweep",
        summary="Sweep a repository",
        description="Everything that is dust goes.",
        access="delete on the repository",
        query=SweepQuery,
        body=Sweep,
        answer=Swept,
        refusals=(NameUnknown,),
    ),
)
LOOK = Operation(endpoint=SWEEP.endpoint, methods=("GET",), wanted=rights.credentials, is_write=False)


async def sweep(call: Call) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps({"path": call.path}).encode())


async def unwanted(call: Call) -> Response:
    raise AssertionError(call.path)


def api(*rows: Operation) -> Api:
    """Our own API with *rows* more."""
    handlers = dict.fromkeys([row for row in EVERY_OPERATION if row is not OPENAPI], unwanted)
    return moorage_api({**handlers, **dict.fromkeys(rows, sweep)}, prefix="/", operations=(*EVERY_OPERATION, *rows))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve an API; what comes back sends a method to a path."""
    async with AsyncExitStack() as stack:

        async def start(served: Api, rules: ApplicationRules | None = None, guard: Guard | None = None) -> Send:
            app = App(
                [served],
                guard=guard or OpenGuard(),
                urls=Urls(),
                rules=rules or ApplicationRules(can_delete=True),
                access_log=AccessLog(LogSettings(fields={}, access_disabled=True)),
            )
            server = ConnectionServer(app)
            listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
            stack.push_async_callback(server.shutdown, 0)
            stack.callback(listening.close)
            host, port = listening.sockets[0].getsockname()

            async def send(method: str, path: str) -> registry_client.Response:
                def exchange() -> registry_client.Response:
                    with RegistryClient(f"{host}:{port}") as client:
                        return client.request(method, path)

                return await asyncio.to_thread(exchange)

            return send

        yield start


PATH = "/moorage/v1/sweep?repository=g/app"


async def test_a_row_is_routed_and_named_in_allow(serve: Serve) -> None:
    send = await serve(api(SWEEP))
    assert (await send("POST", PATH)).json() == {"path": "/moorage/v1/sweep"}
    response = await send("PUT", PATH)
    assert (response.status, response.headers["Allow"]) == (405, "POST, OPTIONS")
    assert (await send("OPTIONS", PATH)).headers["Allow"] == "POST, OPTIONS"


async def test_without_the_row_there_is_nothing(serve: Serve) -> None:
    send = await serve(api())
    assert (await send("POST", PATH)).status == 404
    assert (await send("OPTIONS", PATH)).headers["Allow"] == "OPTIONS"


async def test_a_second_row_of_a_path_joins_the_first(serve: Serve) -> None:
    send = await serve(api(SWEEP, LOOK), rules=ApplicationRules(read_only=True))
    assert (await send("GET", PATH)).status == 200
    response = await send("POST", PATH)
    assert (response.status, response.headers["Allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize(
    ("rules", "why", "named"),
    [
        (ApplicationRules(read_only=True, can_delete=True), "the registry is read-only for maintenance", "OPTIONS"),
        (
            ApplicationRules(can_delete=False),
            "deleting is switched off (storage.delete.enabled)",
            "POST, OPTIONS",
        ),
    ],
    ids=["read-only", "no-deletes"],
)
async def test_the_switches_of_the_configuration_take_it_away(
    rules: ApplicationRules, why: str, named: str, serve: Serve
) -> None:
    send = await serve(api(SWEEP), rules=rules)
    response = await send("POST", PATH)
    assert (response.status, response.headers["Allow"]) == (405, "OPTIONS")
    assert why in response.body.decode()
    assert (await send("OPTIONS", PATH)).headers["Allow"] == named


async def test_the_credentials_have_to_allow_what_the_row_wants(serve: Serve, tmp_path: Path) -> None:
    send = await serve(api(SWEEP), guard=Issuer(tmp_path).guard())
    response = await send("POST", PATH)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="{REALM}",service="{SERVICE}",scope="repository:g/app:delete"'
    )


async def test_the_openapi_document_describes_it(serve: Serve) -> None:
    documents = [(await (await serve(api(*rows)))("GET", "/moorage/v1/openapi.json")).json() for rows in ((), (SWEEP,))]
    paths, schemas = ([json.loads(json.dumps(found[key])) for found in documents] for key in ("paths", "components"))
    assert paths[1] == {**paths[0], "/moorage/v1/sweep": paths[1]["/moorage/v1/sweep"]}
    described = paths[1]["/moorage/v1/sweep"]["post"]
    assert described["operationId"] == "sweep"
    assert described["description"] == "Everything that is dust goes. Needs: delete on the repository."
    assert [parameter["name"] for parameter in described["parameters"]] == ["repository", "Moorage-Reason"]
    assert "NAME_UNKNOWN" in described["responses"]["404"]["description"]
    assert {*schemas[1]["schemas"]} - {*schemas[0]["schemas"]} == {"Sweep", "Swept"}


def test_a_row_has_a_handler_and_a_handler_has_a_row() -> None:
    for rows, handlers in (([SWEEP], {}), ([], {SWEEP: sweep})):
        with pytest.raises(ValueError, match=r"without a .*: /moorage/v1/sweep$"):
            Api(lambda _: None, rows, handlers)


def test_a_row_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="is_write=False"):
        Operation(endpoint=SWEEP.endpoint, methods=READING, wanted=rights.pull)
    with pytest.raises(ValueError, match="deletes"):
        Operation(endpoint=SWEEP.endpoint, methods=("POST",), wanted=rights.pull, is_write=False, deletes=True)
