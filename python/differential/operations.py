"""From an application's OpenAPI document to strategies for requests, one for each operation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.applications import load
from differential.documents import documents
from differential.fields import AUTHORIZATIONS, cookie_fields, headers
from differential.forms import Body, multipart, urlencoded
from differential.request import Fields, Request
from differential.targets import Named, changed, pairs, paths, queries, template
from differential.texts import ODD, Schema, mostly, resolved, texts

METHODS = [
    b"GET",
    b"HEAD",
    b"OPTIONS",
    b"POST",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"REPORT",
    b"PROPFIND",
    b"BREW",
    b"get",
    b"QUERY",
]
CONTENT_TYPES = [
    b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/json;charset=latin-1", b"application/json; charset=utf-16",
    b"application/geo+json", b"application/vnd.api+json", b"application/x-json",
    b"application/problem+JSON; v=1", b"text/json", b"text/plain", b"application/jsonp", b"json", b"", b"application/json, text/plain", b" application/json ",
    b"application/", b"/json", b"+json", b"application/+json",
    b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=edge", b"multipart/form-data", b"multipart/form-data; boundary=",
    b"application/json\t;x", b"application/json; charset=\xff", b"text/html+json", b"*/*", b"application/*+json",
]  # fmt: skip
JSON: Fields = ((b"Content-Type", b"application/json"),)

_METHOD = st.integers(0, 39)
_METHODS = st.sampled_from(METHODS)
_TYPE = st.integers(0, 15)
_TYPES = st.sampled_from(CONTENT_TYPES)
_FRAMING = st.integers(0, 11)
_CHUNK = st.integers(1, 9)
_VERSION = st.integers(0, 63)
_BODY = st.integers(0, 23)
_SOME_BODY = st.sampled_from([b"", b"{}", b'{"name":"x"}', b"a=1", b"null", b"\xff", b"x" * 3000])


@dataclass(frozen=True)
class Operation:
    """A method and a path of an application, and the requests that are sent to it."""

    #: `POST /sync/item/{n}`
    name: str
    requests: SearchStrategy[Request]


def operations(app: str) -> list[Operation]:
    """The operations of an application, in the order of its document."""
    application, module = load(app)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = application.openapi()
    attribute = app.partition(":")[2]
    own = getattr(module, "HEADERS", {}).get(attribute)
    own_headers = st.sampled_from(own) if own else None
    found = list(_documented(document, own_headers))
    for target in getattr(module, "TARGETS", {}).get(attribute, ()):
        found.append(_operation("GET", target, {}, {}, {}, own_headers))
    return found


def _documented(document: Mapping[str, Any], own: SearchStrategy[Any] | None) -> Iterator[Operation]:
    components = document.get("components", {})
    definitions = components.get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _operation(method.upper(), path, operation, definitions, components.get("securitySchemes", {}), own)


def _operation(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    definitions: Mapping[str, Schema],
    schemes: Mapping[str, Any],
    own: SearchStrategy[Any] | None,
) -> Operation:
    places: dict[str, list[Named]] = {"path": [], "query": [], "header": [], "cookie": []}
    for parameter in operation.get("parameters", ()):
        places[parameter["in"]].append(_named(parameter["name"], parameter.get("schema", {}), definitions))
    for required in operation.get("security", ()):
        for name in required:
            scheme = schemes[name]
            if scheme["type"] == "apiKey":
                places[scheme["in"]].append(Named(scheme["name"], ODD))
            elif all(named.name != "Authorization" for named in places["header"]):
                places["header"].append(Named("Authorization", st.sampled_from(AUTHORIZATIONS)))
    target = changed(paths(template(path, {named.name: named.values for named in places["path"]})))
    query = queries(places["query"], pairs(places["query"]))
    cookies = cookie_fields(places["cookie"]) if places["cookie"] else None
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [_bodies(kind, media.get("schema", {}), definitions) for kind, media in content.items()]
    return Operation(
        name=f"{method} {path}",
        requests=_requests(
            method.encode(),
            target,
            query,
            headers(places["header"], cookies, own),
            st.one_of(*bodies) if bodies else None,
        ),
    )


def _named(name: str, schema: Schema, definitions: Mapping[str, Schema]) -> Named:
    # Lists of parameters are repeated, also those that may be null.
    kinds = [resolved(one, definitions) for one in resolved(schema, definitions).get("anyOf", [schema])]
    repeated = any(kind.get("type") == "array" for kind in kinds)
    return Named(name, texts(schema, definitions), repeated)


def _bodies(kind: str, schema: Schema, definitions: Mapping[str, Schema]) -> SearchStrategy[Body]:
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        properties = resolved(schema, definitions).get("properties", {})
        names = [_named(name, one, definitions) for name, one in properties.items()]
        form = urlencoded(pairs(names))
        files = frozenset(
            name for name, one in properties.items() if "octet-stream" in str(one) or "binary" in str(one)
        )
        parts = multipart(names, files)
        return mostly(parts, form) if kind == "multipart/form-data" else mostly(form, parts)
    fields = ((b"Content-Type", kind.encode()),)
    return documents(schema, definitions).map(lambda data: (fields, data))


@st.composite
def _requests(
    draw: DrawFn,
    method: bytes,
    target: SearchStrategy[str],
    query: SearchStrategy[str],
    headers: SearchStrategy[Fields],
    bodies: SearchStrategy[Body] | None,
) -> Request:
    other = draw(_METHOD)
    request = Request(
        method=draw(_METHODS) if other == 39 else b"HEAD" if other == 38 and method == b"GET" else method,
        target=(draw(target) + draw(query)).encode(),
        headers=draw(headers),
    )
    with_body = draw(_BODY)
    if bodies is not None and with_body < 23:
        fields, data = draw(bodies)
        if draw(_TYPE) >= 14:
            fields = _other_type(fields, draw(_TYPE), draw(_TYPES))
        request = replace(request, headers=(*fields, *request.headers), body=data)
    elif bodies is None and with_body == 23:
        request = replace(request, headers=(*JSON, *request.headers), body=draw(_SOME_BODY))
    if request.body is not None:
        framing = draw(_FRAMING)
        if framing >= 10:
            request = replace(request, chunks=tuple(draw(_CHUNK) for _ in range(framing - 9)))
    version = draw(_VERSION)
    if version == 63 and request.chunks is None:
        request = replace(request, version=b"HTTP/1.0")
    elif version == 62:
        # As to a proxy (RFC 9112, 3.2.2).
        request = replace(request, target=b"http://other.example:8080" + request.target)
    return request


def _other_type(fields: Fields, how: int, kind: bytes) -> Fields:
    """No content type at all, another one, or a second one before or behind."""
    if how < 4:
        return ()
    other = ((b"Content-Type", kind),)
    return (*other, *fields) if how == 14 else (*fields, *other) if how == 15 else other
