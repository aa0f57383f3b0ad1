"""Native routes in the OpenAPI document: what their stubs leave out is taken from the handlers' metadata."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import validation_error_definition, validation_error_response_definition
from fastapi.utils import is_body_allowed_for_status_code

from bimetal.binding import HandlerInfo
from bimetal.compile.schema import REF_PREFIX, Schema, as_pydantic, references, renamed, substance, title_of
from bimetal.compile.stub import declared_status

_PLACES = ("path", "query", "header", "cookie")
_WITH_BODY = ("post", "put", "patch", "delete")
_JSON = "application/json"

#: Parameters, request body and the content of the response.
Parts = tuple[list[dict[str, Any]], dict[str, Any] | None, dict[str, Any] | None]


@dataclass(frozen=True)
class NativeOperation:
    """A route that a native handler answers."""

    #: The path as the document writes it, `/users/{user_id}`.
    path: str
    methods: tuple[str, ...]
    #: The handler's name.
    handler: str
    #: What the handler says about itself.
    meta: Mapping[str, Any]
    #: The status code that the route declares.
    status: int | None = None
    #: Given with the server, not with the application: its document does not know the route.
    is_added: bool = False


def native_operation(effective: Any, methods: tuple[str, ...], handler: HandlerInfo) -> NativeOperation:
    """What the document has to say about a route of the application that this handler answers."""
    return NativeOperation(
        effective.path_format, methods, handler["name"], _meta(handler), getattr(effective, "status_code", None)
    )


def added_operation(path: str, handler: HandlerInfo) -> NativeOperation:
    """What it has to say about a route that was given with the server."""
    plain = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
    return NativeOperation(plain, ("GET",), handler["name"], _meta(handler), is_added=True)


def _meta(handler: HandlerInfo) -> Mapping[str, Any]:
    meta = json.loads(handler["meta"] or "{}")
    return meta if isinstance(meta, dict) else {}


class NativeDocument:
    """`app.openapi` of an application with native routes."""

    def __init__(self, generate: Callable[[], dict[str, Any]]) -> None:
        self._generate = generate
        self._lock = threading.Lock()
        self._operations: Sequence[NativeOperation] = ()
        self._made: tuple[dict[str, Any], dict[str, Any]] | None = None

    def describe(self, operations: Sequence[NativeOperation]) -> None:
        """The native routes there are, from now on."""
        with self._lock:
            self._operations = operations
            self._made = None

    def renew(self, handlers: Mapping[str, HandlerInfo]) -> None:
        """Other versions of the handlers answer from now on."""
        with self._lock:
            self._operations = [
                replace(native, meta=_meta(handlers[native.handler])) if native.handler in handlers else native
                for native in self._operations
            ]
            self._made = None

    def __call__(self) -> dict[str, Any]:
        """The document of the whole application."""
        document = self._generate()
        with self._lock:
            # The application keeps its document; so that it can be changed or made anew, ours is a copy.
            if self._made is None or self._made[0] is not document:
                self._made = (document, complete(document, self._operations))
            return self._made[1]


def document_natives(app: FastAPI, operations: Sequence[NativeOperation]) -> None:
    """Let the document that the application gives out contain its native routes."""
    known = app.__dict__.get("openapi")
    if isinstance(known, NativeDocument):
        known.describe(operations)
    elif operations:
        document = NativeDocument(app.openapi)
        document.describe(operations)
        app.__dict__["openapi"] = document


def renew_natives(app: FastAPI, handlers: Mapping[str, HandlerInfo]) -> None:
    """Let the document say of the native routes what other versions of their handlers say."""
    known = app.__dict__.get("openapi")
    if isinstance(known, NativeDocument):
        known.renew(handlers)


def complete(document: Mapping[str, Any], operations: Sequence[NativeOperation]) -> dict[str, Any]:
    """A copy of the document with everything in it that the handlers of `operations` say about themselves.

    Where a stub says something itself, that stays: it was compared with the handler at the start.
    """
    made: dict[str, Any] = copy.deepcopy(dict(document))
    paths = made.setdefault("paths", {})
    schemas = dict(made.get("components", {}).get("schemas") or {})
    for native in operations:
        for method in map(str.lower, native.methods):
            if native.is_added:
                paths.setdefault(native.path, {})[method] = _fresh(native, method)
            operation = paths.get(native.path, {}).get(method)
            # Absent: the route is left out of the document on purpose.
            if operation is not None:
                _fill(operation, native, method, schemas)
    if schemas:
        made.setdefault("components", {})["schemas"] = {name: schemas[name] for name in sorted(schemas)}
    return made


def _fresh(native: NativeOperation, method: str) -> dict[str, Any]:
    name = native.handler.rpartition(".")[2]
    identifier = "".join(letter if letter.isalnum() else "_" for letter in f"{name}{native.path}_{method}")
    response = {"description": "Successful Response", "content": {_JSON: {"schema": {}}}}
    return {"summary": title_of(name), "operationId": identifier, "responses": {"200": response}}


def _fill(operation: dict[str, Any], native: NativeOperation, method: str, schemas: dict[str, Schema]) -> None:
    meta = native.meta
    documented = {_key(parameter) for parameter in operation.get("parameters") or []}
    parameters = [_parameter(parameter) for parameter in meta.get("parameters") or []]
    added = [parameter for parameter in parameters if _key(parameter) not in documented]
    body = None
    if method in _WITH_BODY and "requestBody" not in operation:
        body = _request_body(meta.get("request_body"))
    _move_response(operation, native)
    answer = _unsaid_response(operation, native)
    content = None if answer is None else _content(meta["response"])
    added, body, content = _with_components((added, body, content), native, schemas)
    _fill_parameters(operation, added, parameters)
    if body is not None:
        operation["requestBody"] = _named_form(body, operation, schemas)
    if answer is not None:
        del answer["content"]
        if content:
            answer["content"] = content
    responses = operation.setdefault("responses", {})
    if (operation.get("parameters") or operation.get("requestBody")) and not {"422", "4XX", "default"} & set(responses):
        schema = {"$ref": f"{REF_PREFIX}HTTPValidationError"}
        responses["422"] = {"description": "Validation Error", "content": {_JSON: {"schema": schema}}}
        schemas.setdefault("ValidationError", copy.deepcopy(validation_error_definition))
        schemas.setdefault("HTTPValidationError", copy.deepcopy(validation_error_response_definition))
    if meta.get("description") and "description" not in operation:
        operation["description"] = meta["description"]


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = as_pydantic(parameter.get("schema") or {}, title_of(parameter["name"]))
    made = {"name": parameter["name"], "in": parameter["in"], "required": bool(parameter.get("required"))}
    made["schema"] = schema
    if description := parameter.get("description") or (isinstance(schema, dict) and schema.get("description")):
        made["description"] = description
    return made


def _fill_parameters(operation: dict[str, Any], added: list[dict[str, Any]], all_of_them: list[dict[str, Any]]) -> None:
    descriptions = {_key(parameter): parameter.get("description") for parameter in all_of_them}
    parameters = [*(operation.get("parameters") or []), *added]
    for parameter in parameters:
        if description := descriptions.get(_key(parameter)):
            parameter.setdefault("description", description)
    if parameters:
        operation["parameters"] = sorted(parameters, key=lambda parameter: _PLACES.index(parameter["in"]))


def _key(parameter: Mapping[str, Any]) -> tuple[str, str]:
    name = parameter["name"]
    return parameter["in"], name.lower() if parameter["in"] == "header" else name


def _request_body(body: Any) -> dict[str, Any] | None:
    if not isinstance(body, Mapping):
        return None
    content_type = body.get("content_type") or _JSON
    schema = as_pydantic(body.get("schema") or {})
    if not body.get("required") and content_type == _JSON:
        schema = {"anyOf": [schema, {"type": "null"}]}
    made: dict[str, Any] = {"content": {content_type: {"schema": schema}}}
    if body.get("required"):
        made["required"] = True
    return made


def _named_form(body: dict[str, Any], operation: Mapping[str, Any], schemas: dict[str, Schema]) -> dict[str, Any]:
    """Fields of a form that are arguments of their own make a schema named after the operation, as in FastAPI."""
    for media in body["content"].values():
        schema = media["schema"]
        if "properties" in schema and "operationId" in operation:
            name = f"Body_{operation['operationId']}"
            if not schema.get("required"):
                schema.pop("required", None)
            schemas[name] = {**schema, "title": name}
            media["schema"] = {"$ref": REF_PREFIX + name}
    return body


def _content(response: Mapping[str, Any]) -> dict[str, Any]:
    content_type = response.get("content_type")
    if not content_type:
        return {}
    return {content_type.partition(";")[0].strip(): {"schema": as_pydantic(response.get("schema") or {})}}


def _move_response(operation: dict[str, Any], native: NativeOperation) -> None:
    """Write the response under the status code that the handler declares, where the stub declares none."""
    status = declared_status(native.meta)
    responses = operation.get("responses")
    if native.status is not None or status is None or not responses:
        return
    # FastAPI writes the route's own response first, further ones behind it.
    first, *others = responses.items()
    further = dict(others)
    known = further.pop(str(status), {})
    operation["responses"] = {str(status): {**first[1], **known}, **further}
    if not is_body_allowed_for_status_code(status):
        operation["responses"][str(status)].pop("content", None)


def _unsaid_response(operation: dict[str, Any], native: NativeOperation) -> dict[str, Any] | None:
    """The response as FastAPI describes that of a function that says nothing: JSON of any kind.

    None when the stub says more, or the handler says nothing either.
    """
    response = native.meta.get("response")
    responses = operation.setdefault("responses", {})
    declared = str(native.status or declared_status(native.meta) or 200)
    unsaid: dict[str, Any] = {_JSON: {"schema": {}}}
    if not isinstance(response, Mapping) or "content_type" not in response:
        return None
    if responses.get(declared, {}).get("content") != unsaid:
        return None
    answer: dict[str, Any] = responses.pop(declared)
    status = declared if native.status is not None else str(response.get("status") or declared)
    operation["responses"] = {status: answer, **responses}
    return answer


def _with_components(parts: Parts, native: NativeOperation, schemas: dict[str, Schema]) -> Parts:
    """Add the named schemas the parts refer to, with the plugin's name before one that stands for something else."""
    own = {
        name: as_pydantic(schema, name)
        for name, schema in (native.meta.get("schemas") or {}).items()
        if isinstance(schema, Mapping)
    }
    unions = {name: schema for name, schema in own.items() if _is_union(schema) and name not in _reachable(schema, own)}
    own = {name: _inlined(schema, unions) for name, schema in own.items() if name not in unions}
    first, second, third = (_inlined(part, unions) for part in parts)
    parts = first, second, third
    wanted = _reachable(parts, own)
    # A response may always have a field that a model of Python may leave out.
    lenient = set(wanted) - set(_reachable(parts[:2], own))
    clashing = {name for name in wanted if name in schemas and not _is_same(schemas[name], own[name], name in lenient)}
    while True:
        # What refers to a schema with another name is another schema itself.
        more = {name for name in wanted if name in schemas and clashing & set(references(own[name]))} - clashing
        if not more:
            break
        clashing |= more
    plugin = native.handler.rpartition(".")[0].replace(".", "_") or "native"
    names = {name: f"{plugin}__{name}" for name in clashing}
    count = 1
    while any(_is_taken(names[name], renamed(own[name], names), schemas) for name in clashing):
        count += 1
        names = {name: f"{plugin}__{name}_{count}" for name in clashing}
    for name in wanted:
        schemas.setdefault(names.get(name, name), renamed(own[name], names))
    parameters, body, content = (renamed(part, names) for part in parts)
    return parameters, body, content


def _is_union(schema: Schema) -> bool:
    """Whether it is one of several types: a type alias in Python, which has no name in a document."""
    return ("anyOf" in schema or "oneOf" in schema) and not {"type", "properties"} & schema.keys()


def _inlined(value: Any, schemas: Mapping[str, Schema]) -> Any:
    """A copy with these components in place of the references to them."""
    if isinstance(value, list):
        return [_inlined(part, schemas) for part in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).removeprefix(REF_PREFIX)
    if name in schemas:
        rest = {key: part for key, part in value.items() if key != "$ref"}
        return {**_inlined(schemas[name], schemas), **rest}
    return {key: _inlined(part, schemas) for key, part in value.items()}


def _is_same(known: Schema, schema: Schema, lenient: bool) -> bool:
    left_out = {"required"} if lenient else set()
    ours, theirs = ({key: part for key, part in side.items() if key not in left_out} for side in (known, schema))
    return bool(substance(ours) == substance(theirs))


def _is_taken(name: str, schema: Schema, schemas: Mapping[str, Schema]) -> bool:
    return name in schemas and substance(schemas[name]) != substance(schema)


def _reachable(parts: Any, own: Mapping[str, Schema]) -> list[str]:
    found: list[str] = []
    pending = list(references(parts))
    while pending:
        name = pending.pop()
        if name in own and name not in found:
            found.append(name)
            pending += references(own[name])
    return sorted(found)
