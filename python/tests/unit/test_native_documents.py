"""Handlers' metadata in the OpenAPI document: what is filled in, what stays, and what is called otherwise."""

from __future__ import annotations

import json
from dataclasses import replace

from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel

import bimetal
from bimetal.compile.openapi import NativeOperation, complete, document_natives
from bimetal.compile.routes import Compilation
from bimetal.compile.schema import as_pydantic

REF = "#/components/schemas/"
USER = {"type": "object", "properties": {"id": {"type": "integer", "format": "int64"}}, "required": ["id"]}
META = {
    "description": "A user by number.",
    "parameters": [
        {"name": "user_id", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}},
        {"name": "verbose", "in": "query", "required": False, "schema": {"type": ["boolean", "null"], "default": None}},
    ],
    "response": {"status": 200, "content_type": "application/json", "schema": {"$ref": f"{REF}User"}},
    "schemas": {"User": USER, "Options": {"type": "object", "properties": {}}},
}


class User(BaseModel):
    id: int
    name: str


def operation(meta, handler="hot.get_user", path="/u/{user_id}", **options):
    return NativeOperation(path, ("GET",), handler, meta, **options)


def application():
    app = FastAPI()

    @app.get("/u/{user_id}")
    @bimetal.native("hot.get_user")
    def get_user(): ...

    @app.get("/python")
    def python() -> User: ...

    return app


def test_a_bare_stub_gets_everything():
    app = FastAPI()
    app.get("/u/{user_id}")(lambda: None)
    made = complete(app.openapi(), [operation(META)])
    got = made["paths"]["/u/{user_id}"]["get"]
    assert [(part["in"], part["name"], part["required"]) for part in got["parameters"]] == [
        ("path", "user_id", True),
        ("query", "verbose", False),
    ]
    assert got["parameters"][1]["schema"] == {"anyOf": [{"type": "boolean"}, {"type": "null"}], "title": "Verbose"}
    assert got["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": f"{REF}User"}
    assert got["responses"]["422"]["content"]["application/json"]["schema"] == {"$ref": f"{REF}HTTPValidationError"}
    assert got["description"] == "A user by number."
    assert set(made["components"]["schemas"]) == {"User", "HTTPValidationError", "ValidationError"}
    OpenAPI.model_validate(made)


def test_a_schema_of_the_same_name_keeps_it():
    app = application()
    document = app.openapi()
    before = json.dumps(document)
    made = complete(document, [operation(META)])
    assert json.dumps(document) == before
    schemas = made["components"]["schemas"]
    assert set(schemas["User"]["properties"]) == {"id", "name"}
    assert set(schemas["hot__User"]["properties"]) == {"id"}
    got = made["paths"]["/u/{user_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert got == {"$ref": f"{REF}hot__User"}
    again = complete(made, [operation(META)])
    assert again["components"]["schemas"].keys() == schemas.keys()


def test_a_response_may_always_have_what_a_model_may_leave_out():
    always = {**USER, "properties": {**USER["properties"], "name": {"type": "string"}}, "required": ["name"]}
    response = {**META, "schemas": {"User": always}}
    assert "hot__User" not in complete(application().openapi(), [operation(response)])["components"]["schemas"]
    app = FastAPI()
    app.post("/u")(lambda: None)

    @app.get("/python")
    def python() -> User: ...

    body = {"required": True, "content_type": "application/json", "schema": {"$ref": f"{REF}User"}}
    takes = NativeOperation("/u", ("POST",), "hot.put_user", {"request_body": body, "schemas": {"User": always}})
    assert "hot__User" in complete(app.openapi(), [takes])["components"]["schemas"]


def test_what_refers_to_a_renamed_schema_is_renamed_too():
    page = {"type": "object", "properties": {"users": {"type": "array", "items": {"$ref": f"{REF}User"}}}}
    listed = {
        "response": {**META["response"], "schema": {"$ref": f"{REF}Page"}},
        "schemas": {"User": USER, "Page": page},
    }
    other = {**USER, "properties": {"id": {"type": "string"}}}
    others = {**listed, "schemas": {"User": other, "Page": page}}
    app = FastAPI()
    for path in ("/a", "/b"):
        app.get(path)(lambda: None)
    natives = [operation(listed, "one.list", "/a"), operation(others, "two.list", "/b")]
    made = complete(app.openapi(), natives)
    schemas = made["components"]["schemas"]
    assert set(schemas) == {"Page", "User", "two__Page", "two__User"}
    assert schemas["two__Page"]["properties"]["users"]["items"] == {"$ref": f"{REF}two__User"}


def test_what_the_stub_says_stays():
    app = FastAPI()

    @app.get("/u/{user_id}", status_code=202, responses={"default": {"description": "other"}})
    def get_user(user_id: int) -> User:
        """From Python."""

    got = complete(app.openapi(), [operation(META, status=202)])["paths"]["/u/{user_id}"]["get"]
    assert got["description"] == "From Python."
    assert "format" not in got["parameters"][0]["schema"]
    assert got["responses"]["202"]["content"]["application/json"]["schema"] == {"$ref": f"{REF}User"}
    assert "422" not in got["responses"]


def test_a_route_left_out_stays_out():
    app = FastAPI()
    app.get("/u/{user_id}", include_in_schema=False)(lambda: None)
    assert complete(app.openapi(), [operation(META)])["paths"] == {}
    assert list(complete(app.openapi(), [operation(META, is_added=True)])["paths"]) == ["/u/{user_id}"]


def test_no_body_no_content_and_redirects():
    app = FastAPI()
    for path in ("/empty", "/moved"):
        app.get(path)(lambda: None)
    nothing = {"content_type": None, "schema": None}
    natives = [
        operation({"response": {"status": 200, **nothing}}, path="/empty"),
        operation({"response": {"status": 307, **nothing}}, path="/moved"),
    ]
    paths = complete(app.openapi(), natives)["paths"]
    assert paths["/empty"]["get"]["responses"] == {"200": {"description": "Successful Response"}}
    assert paths["/moved"]["get"]["responses"] == {"307": {"description": "Successful Response"}}


def test_the_application_gives_it_out():
    app = application()
    handlers = {
        "hot.get_user": {
            "name": "hot.get_user",
            "plugin": "hot",
            "source": "s",
            "kind": "sync",
            "meta": json.dumps(META),
        }
    }
    compilation = Compilation(app, handlers)
    document_natives(app, compilation.operations)
    document_natives(app, compilation.operations)
    first = app.openapi()
    assert len(first["paths"]["/u/{user_id}"]["get"]["parameters"]) == 2
    assert app.openapi() is first
    app.get("/late")(lambda: None)
    assert "/late" in app.openapi()["paths"]
    document_natives(app, [])
    assert "parameters" not in app.openapi()["paths"]["/u/{user_id}"]["get"]


def test_schemas_in_pydantics_form():
    constants = [{"type": "string", "const": "a", "description": "first"}, {"type": "string", "enum": ["b", "c"]}]
    assert as_pydantic({"oneOf": constants, "description": "d"}) == {
        "type": "string",
        "enum": ["a", "b", "c"],
        "description": "d",
    }
    assert as_pydantic({"type": ["integer", "null"], "minimum": 1, "description": "d"}, "T") == {
        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
        "description": "d",
        "title": "T",
    }
    assert as_pydantic({"$ref": f"{REF}A", "default": None}, "T") == {"$ref": f"{REF}A"}
    assert as_pydantic({"type": "object", "additionalProperties": False}) == {
        "type": "object",
        "additionalProperties": False,
    }
    assert as_pydantic(True) is True


def test_the_status_a_handler_declares_is_documented():
    app = FastAPI()

    @app.post("/typed", responses={201: {"description": "Made", "headers": {}}, 404: {"description": "None"}})
    def typed() -> User: ...

    @app.post("/declared", status_code=202)
    def declared(): ...

    for path in ("/bare", "/empty", "/by/hand"):
        app.post(path)(lambda: None)
    nothing = {"content_type": None, "schema": None}

    def posts(path, status, response):
        return NativeOperation(
            path, ("POST",), "hot.x", {"status": status, "response": response, "schemas": {"User": USER}}
        )

    made = complete(
        app.openapi(),
        [
            posts("/typed", 201, {**META["response"], "status": 201}),
            replace(posts("/declared", 202, {"status": 202, **nothing}), status=202),
            posts("/bare", 201, {**META["response"], "status": 201}),
            posts("/empty", 204, {"status": 204, **nothing}),
            posts("/by/hand", 203, {"status": 203}),
        ],
    )
    answers = {path: methods["post"]["responses"] for path, methods in made["paths"].items()}
    assert list(answers["/typed"]) == ["201", "404"]
    assert answers["/typed"]["201"]["description"] == "Made"
    assert answers["/typed"]["201"]["content"]["application/json"]["schema"] == {"$ref": f"{REF}User"}
    assert answers["/declared"] == {"202": {"description": "Successful Response"}}
    assert list(answers["/bare"]) == ["201"] and "User" in str(answers["/bare"])
    assert answers["/empty"] == {"204": {"description": "Successful Response"}}
    anything = {"description": "Successful Response", "content": {"application/json": {"schema": {}}}}
    assert answers["/by/hand"] == {"203": anything}
    OpenAPI.model_validate(made)
