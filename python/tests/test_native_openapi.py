"""One OpenAPI document for Python and native routes, whatever their stubs say.

The document of `twins:app` on FastAPI alone is the measure: `twins:bare`, the same routes with stubs that say nothing, must give
one that says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI

from bimetal.compile.schema import references, substance
from harness.servers import ServerProcess, start_bimetal, start_uvicorn
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

#: Written differently for the same values; their documents are compared by hand below.
DIFFERENT = {
    "/shape": "serde puts the tag beside the variant's fields, Pydantic into the model",
    "/sized": "what a number of 32 bits can hold goes without saying in the handler's schema",
    "/renamed": "the same",
    "/camel": "FastAPI names a model that holds itself twice, as input and as output",
    "/range/form": "FastAPI spells out when an optional form counts as given",
}


@pytest.fixture(scope="module", params=["app", "bare"])
def server(request: pytest.FixtureRequest, twin_library: Path) -> Iterator[ServerProcess]:
    with start_bimetal(f"twins:{request.param}", "--plugin", str(twin_library)) as server:
        yield server.wait_ready()


@pytest.fixture(scope="module")
def reference() -> Iterator[dict[str, Any]]:
    with start_uvicorn("twins:app") as server:
        yield document(server.wait_ready())


def document(server: ServerProcess) -> dict[str, Any]:
    found: dict[str, Any] = get(server.port, "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[str, Any]:
    """Each operation, with what the schemas and not their titles say."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = [
                {**parameter, "schema": substance(parameter["schema"])}
                for parameter in operation.get("parameters") or []
            ]
            parts = {key: part for key, part in operation.items() if key not in ("parameters", "description")}
            found[f"{method.upper()} {path}"] = {**substance(parts), "parameters": parameters}
    return found


def test_the_operations_are_those_of_fastapi(server: ServerProcess, reference: dict[str, Any]) -> None:
    ours, theirs = operations(document(server)), operations(reference)
    assert ours.keys() == theirs.keys()
    for name, operation in theirs.items():
        if name.split()[1] not in DIFFERENT:
            assert ours[name] == operation, name


def test_the_schemas_are_those_of_fastapi(server: ServerProcess, reference: dict[str, Any]) -> None:
    ours, theirs = (found["components"]["schemas"] for found in (document(server), reference))
    apart = {
        "Camel",
        "Camel-Input",
        "Camel-Output",
        "Sized",
        "Shape",
        "Circle",
        "Square",
        "Body_range_form_range_form_post",
    }
    assert ours.keys() - apart == theirs.keys() - apart
    for name in theirs.keys() - apart:
        assert substance(ours[name]) == substance(theirs[name]), name


def test_the_document_is_valid(server: ServerProcess) -> None:
    found = document(server)
    OpenAPI.model_validate(found)
    assert set(references(found["paths"])) <= found["components"]["schemas"].keys()
    for name, schema in found["components"]["schemas"].items():
        assert set(references(schema)) <= found["components"]["schemas"].keys(), name
    identifiers = [operation["operationId"] for path in found["paths"].values() for operation in path.values()]
    assert len(set(identifiers)) == len(identifiers)


def test_the_documentation_page_shows_it(server: ServerProcess) -> None:
    page = get(server.port, "/docs")
    assert page.status == 200
    assert "/openapi.json" in page.text


def test_what_serde_writes_differently(server: ServerProcess) -> None:
    found = document(server)
    body = found["paths"]["/range/form"]["post"]["requestBody"]
    assert "application/x-www-form-urlencoded" in body["content"] and not body.get("required")
    shape = found["paths"]["/shape"]["post"]["requestBody"]
    names = set(references(shape))
    assert names in ({"Shape"}, {"Circle", "Square"})


def test_routes_given_with_the_server(twin_library: Path) -> None:
    plugin = ("--plugin", str(twin_library))
    natives = ("--native", "/n/page=twin.page", "--native", "/n/{p:path}=twin.plain", "--native", "/query=twin.page")
    with start_bimetal("parameters:app", *plugin, *natives) as server:
        found = document(server.wait_ready())
        OpenAPI.model_validate(found)
        paths = found["paths"]
        names = [parameter["name"] for parameter in paths["/n/page"]["get"]["parameters"]]
        assert names == ["limit", "tags"]
        assert names == [parameter["name"] for parameter in paths["/query"]["get"]["parameters"]]
        assert paths["/n/{p}"]["get"]["responses"]["200"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
        assert "422" in paths["/n/page"]["get"]["responses"]
        # A model of the application called like the handler's, with other fields, keeps its name.
        assert paths["/path/me"]["get"]
