"""Tools from an OpenAPI document: which operations, their names, and what arguments they take from where."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bimetal.errors import BimetalError

#: Where an argument goes; `member` is one member of the body.
Place = Literal["path", "query", "header", "cookie", "member", "body"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_COMPONENTS = "#/components/schemas/"


@dataclass(frozen=True)
class Selection:
    """Which operations are offered."""

    include: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    #: Header fields that the caller's own request gives, so that no tool has them as arguments.
    own_headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Argument:
    """One argument of a tool."""

    place: Place
    #: The parameter's name.
    name: str
    required: bool
    #: Whether a path parameter may be several segments.
    takes_slashes: bool = False


@dataclass(frozen=True)
class RouteTool:
    """One operation as a tool."""

    name: str
    title: str | None
    description: str | None
    method: str
    path: str
    input_schema: dict[str, Any]
    #: None where the response has no schema, or several.
    output_schema: dict[str, Any] | None
    #: Whether the response is a member `result` of what a tool gives, because a tool gives objects only.
    wrapped: bool
    arguments: dict[str, Argument] = field(default_factory=dict)
    #: The body's media type; None where it has none.
    media_type: str | None = None
    #: Whether there is a body even where no argument is part of it.
    needs_body: bool = False


@dataclass(frozen=True)
class _Operation:
    name: str
    operation_id: str
    method: str
    path: str
    tags: tuple[str, ...]
    #: From the document.
    said: Mapping[str, Any]
    #: Those of its path and its own.
    parameters: tuple[Mapping[str, Any], ...]


def tools_of(document: Mapping[str, Any], selection: Selection, several: Container[str] = ()) -> dict[str, RouteTool]:
    """The tools by name, in the order of the document.

    `several`: the path parameters that may be several segments, as `PATH NAME`, which no document says. Raises
    BimetalError for names and tags that no operation has.
    """
    operations = _named(document)
    known = {name for operation in operations for name in (operation.name, operation.operation_id)}
    tags = {tag for operation in operations for tag in operation.tags}
    _check("tool", (*(selection.include or ()), *selection.exclude), known)
    _check("tag", selection.tags or (), tags)
    schemas = document.get("components", {}).get("schemas", {})
    tools: dict[str, RouteTool] = {}
    for operation in operations:
        named = {operation.name, operation.operation_id}
        asked = not named.isdisjoint(selection.include or ())
        everything = selection.include is None and selection.tags is None
        tagged = not set(operation.tags).isdisjoint(selection.tags or ())
        if not (asked or tagged or everything) or not named.isdisjoint(selection.exclude):
            continue
        tool = _tool(operation, schemas, selection.own_headers, several)
        if tool is not None:
            if (other := tools.get(tool.name)) is not None:
                raise BimetalError(
                    f"the routes {other.method} {other.path} and {tool.method} {tool.path} are both the tool "
                    f"'{tool.name}'; give one of them another operation_id"
                )
            tools[tool.name] = tool
        elif asked:
            raise BimetalError(
                f"the route {operation.method.upper()} {operation.path} cannot be the tool '{operation.name}': "
                "its body is neither JSON nor a form without files; leave it out of include"
            )
    return tools


def _check(what: str, given: tuple[str, ...], known: set[str]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there is: {', '.join(sorted(known)) or 'none'}"
            raise BimetalError(f"no route in the OpenAPI document makes the {what} '{name}'; {hint}")


def _named(document: Mapping[str, Any]) -> list[_Operation]:
    """All operations, with names of their own."""
    found = []
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            said = item.get(method)
            if said is None:
                continue
            parameters = (*item.get("parameters", ()), *said.get("parameters", ()))
            operation_id = said.get("operationId") or f"{method}{re.sub(r'[^0-9A-Za-z]+', '_', path)}"
            short = operation_id.removesuffix(re.sub(r"\W", "_", path) + "_" + method) or operation_id
            found.append((short, operation_id, method, path, tuple(said.get("tags", ())), said, parameters))
    times = Counter(short for short, *_ in found)
    return [
        _Operation(_fit(short if times[short] == 1 else operation_id), operation_id, *rest)
        for short, operation_id, *rest in found
    ]


def _fit(name: str) -> str:
    """A name as the protocol has them."""
    return re.sub(r"[^0-9A-Za-z_.-]", "_", name)[:128]


def _tool(
    operation: _Operation, schemas: Mapping[str, Any], own_headers: tuple[str, ...], several: Container[str]
) -> RouteTool | None:
    """None where the body is one that arguments cannot be."""
    properties: dict[str, Any] = {}
    arguments: dict[str, Argument] = {}
    for parameter in operation.parameters:
        place, name = parameter["in"], parameter["name"]
        if place == "header" and name.lower() in own_headers:
            continue
        key = name if name not in arguments else f"{place}_{name}"
        schema = dict(parameter.get("schema", {}))
        if "description" in parameter:
            schema.setdefault("description", parameter["description"])
        properties[key] = schema
        slashes = place == "path" and f"{operation.path} {name}" in several
        arguments[key] = Argument(place, name, bool(parameter.get("required")), slashes)
    media_type, needs_body = None, False
    body = operation.said.get("requestBody")
    if body is not None:
        media_type = next((kind for kind in (_JSON, _FORM) if kind in body["content"]), None)
        if media_type is None:
            return None
        members = dict(_members(body, media_type, schemas, arguments))
        places = {argument.place for _, argument in members.values()}
        needs_body = bool(body.get("required")) and places == {"member"}
        properties.update({key: schema for key, (schema, _) in members.items()})
        arguments.update({key: argument for key, (_, argument) in members.items()})
    schema = {
        "type": "object",
        "properties": properties,
        "required": [key for key, argument in arguments.items() if argument.required],
        "additionalProperties": False,
    }
    output, wrapped = _output(operation.said, schemas)
    return RouteTool(
        name=operation.name,
        title=operation.said.get("summary"),
        description=operation.said.get("description") or operation.said.get("summary"),
        method=operation.method.upper(),
        path=operation.path,
        input_schema=_whole(schema, schemas),
        output_schema=output,
        wrapped=wrapped,
        arguments=arguments,
        media_type=media_type,
        needs_body=needs_body,
    )


def _members(
    body: Mapping[str, Any], media_type: str, schemas: Mapping[str, Any], taken: Mapping[str, Argument]
) -> Iterator[tuple[str, tuple[Any, Argument]]]:
    """The arguments of a body: the members of an object, or the argument `body` for anything else."""
    schema = body["content"][media_type].get("schema", {})
    resolved = _resolved(schema, schemas)
    members = resolved.get("properties", {})
    is_open = bool(resolved.get("additionalProperties"))
    required = bool(body.get("required"))
    if resolved.get("type") == "object" and members and not is_open and taken.keys().isdisjoint(members):
        needed = resolved.get("required", ()) if required else ()
        for name, member in members.items():
            yield name, (member, Argument("member", name, name in needed))
        return
    key = "body" if "body" not in taken else "request_body"
    yield key, (schema, Argument("body", key, required))


def _output(said: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    answers = [answer for status, answer in said.get("responses", {}).items() if status.startswith("2")]
    if len(answers) != 1:
        return None, False
    schema = answers[0].get("content", {}).get(_JSON, {}).get("schema")
    if not schema:
        return None, False
    resolved = _resolved(schema, schemas)
    if resolved.get("type") == "object":
        return _whole(resolved, schemas), False
    wrapped = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return _whole(wrapped, schemas), True


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference at the root of a schema stands for."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].removeprefix(_COMPONENTS)]
    return schema


def _whole(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with all that it refers to inside of it."""
    needed: dict[str, Any] = {}

    def moved(value: Any) -> Any:
        if isinstance(value, Mapping):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith(_COMPONENTS):
                name = reference.removeprefix(_COMPONENTS)
                if name not in needed:
                    needed[name] = {}  # So that a schema may refer to itself.
                    needed[name] = moved(schemas[name])
                return {**value, "$ref": f"#/$defs/{name}"}
            # OpenAPI's own word for how to tell the members of a union apart refers to components, too.
            return {key: moved(inner) for key, inner in value.items() if key != "discriminator"}
        if isinstance(value, list):
            return [moved(inner) for inner in value]
        return value

    whole: dict[str, Any] = moved(schema)
    return {**whole, "$defs": needed} if needed else whole
