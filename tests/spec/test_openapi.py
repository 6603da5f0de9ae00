"""The OpenAPI document says what there is, and every request that it allows or forbids is answered as it says."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema

from moorage.http.moorage_v1.moorage_api import EVERY_OPERATION
from support.images import image, push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient

NAMES = ["group/app", "group/other"]
TAGS = ["1.0", "2.0", "latest"]
REQUESTS = ["push-1", "push-2", "move", "delete"]
DIGESTS = [image(f"group/app {REQUESTS[0]}").digest, image(f"group/app {REQUESTS[0]}").blobs[0].digest]
SEED = 20261123
BOUNDS = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

schemathesis.openapi.format("re2", st.sampled_from(["1.*", "[0-9.]+", "latest|2\\.0", "", "(?i)LATEST"]))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A registry with two repositories that have a past, which stays: no manifest is collected."""
    folder = tmp_path_factory.mktemp("served")
    with InProcess(folder, collects=["blob"]) as registry, RegistryClient(registry.address) as client:
        for name in NAMES:
            for request, tag in zip(REQUESTS, ["1.0", "latest", "latest", "2.0"], strict=True):
                made = push_image(client, name, made=image(f"{name} {request}"))
                headers = {"Content-Type": made.manifest.media_type, "X-Request-Id": request}
                body = made.manifest.body
                assert client.request("PUT", f"/v2/{name}/manifests/{tag}", body=body, headers=headers).status == 201
            assert (
                client.request("DELETE", f"/v2/{name}/manifests/2.0", headers={"X-Request-Id": "delete"}).status == 202
            )
        yield registry


def served_document(registry: InProcess) -> dict[str, Any]:
    with RegistryClient(registry.address) as client:
        return client.request("GET", "/moorage/v1/openapi.json").json()


def schema_of(document: dict[str, Any]) -> OpenApiSchema:
    config = SchemathesisConfig.from_dict({"seed": SEED})
    return schemathesis.openapi.from_dict(document, config=config)


@pytest.fixture(scope="module")
def whole(served: InProcess) -> OpenApiSchema:
    """As it is: hardly any repository that is asked for is there."""
    return schema_of(served_document(served))


@pytest.fixture(scope="module")
def narrowed(served: InProcess) -> OpenApiSchema:
    """With repositories, tags and requests that are there."""
    document = copy.deepcopy(served_document(served))
    known = {"repository": NAMES, "tag": TAGS, "id": REQUESTS, "request": REQUESTS, "digest": DIGESTS}
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in known:
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    document["components"]["schemas"]["TagsDelete"]["properties"]["tags"]["items"] = {"type": "string", "enum": TAGS}
    return schema_of(document)


DOCUMENTED = [row.documented for row in EVERY_OPERATION if row.documented is not None]
SENT = [
    pytest.param(operation.id, mode, id=f"{operation.id}-{mode.value}")
    for operation in DOCUMENTED
    for mode in GenerationMode
    if operation.query is not None or mode is GenerationMode.POSITIVE  # Without parameters nothing can be wrong.
]


@pytest.mark.parametrize(("operation", "mode"), SENT)
def test_every_request_is_answered_as_the_document_says(
    operation: str, mode: GenerationMode, whole: OpenApiSchema, served: InProcess
) -> None:
    answered_as_described(whole, operation, mode, served)


@pytest.mark.parametrize("operation", [operation.id for operation in DOCUMENTED])
def test_so_is_every_request_about_what_is_there(operation: str, narrowed: OpenApiSchema, served: InProcess) -> None:
    answered_as_described(narrowed, operation, GenerationMode.POSITIVE, served)


def answered_as_described(schema: OpenApiSchema, operation: str, mode: GenerationMode, served: InProcess) -> None:
    """Send what the document allows, or what it does not, and hold the answers against it."""
    found = schema.find_operation_by_id(operation)

    @BOUNDS
    @given(case=found.as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=served.url)

    answers()


def test_the_documented_routes_are_those_of_the_route_table(served: InProcess) -> None:
    documented = {
        (path, method.upper()) for path, methods in served_document(served)["paths"].items() for method in methods
    }
    assert documented == {(path, method) for path, method in served.app.operations if path.startswith("/moorage/")}
    assert len(DOCUMENTED) == len(EVERY_OPERATION) == len(documented)
