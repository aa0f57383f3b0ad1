"""What `bimetal plugin check` has found out about a library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bimetal._core import Host
from bimetal.binding import HandlerInfo, PluginInfo
from bimetal.errors import PluginError
from bimetal.table import print_columns

#: What is shown of a handler's metadata.
_META = ("summary", "parameters", "request_body", "response", "schemas")
#: How the host words its errors.
_MESSAGE = re.compile(r"plugin `(?P<file>.*?)`: (?P<stage>[\w ]+|handler `.*?`): (?P<what>.*)", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """A plugin that loads."""

    file: str
    plugin: PluginInfo
    #: Each with its metadata read.
    handlers: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        plugin = {key: value for key, value in self.plugin.items() if key != "source"}
        return {"file": self.file, "loads": True, "plugin": plugin, "handlers": self.handlers}


@dataclass(frozen=True)
class Failure:
    """A library that does not load: at which stage, why, and what to do."""

    file: str
    stage: str
    reason: str
    fix: str | None
    message: str

    @classmethod
    def of(cls, file: str, error: PluginError) -> Failure:
        """The host's error, taken apart: `plugin FILE: STAGE: REASON; FIX`."""
        message = str(error)
        found = _MESSAGE.search(message)
        stage, what = (found["stage"], found["what"]) if found else ("install", message)
        reason, semicolon, fix = what.rpartition("; ")
        return cls(file, stage, reason if semicolon else what, fix if semicolon else None, message)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        error = {"stage": self.stage, "reason": self.reason, "fix": self.fix, "message": self.message}
        return {"file": self.file, "loads": False, "error": error}


def inspect(file: str, config: str | None) -> Report:
    """Load the library. Raises PluginError where it does not load."""
    host = Host()
    before = {plugin["name"] for plugin in host.plugins()}
    handlers = host.load(file, config)
    plugin = next(plugin for plugin in host.plugins() if plugin["name"] not in before)
    return Report(file, plugin, [_described(handler) for handler in handlers])


def print_report(report: Report) -> None:
    """Print who the plugin is, its handlers, and the schemas they name."""
    plugin = report.plugin
    count = len(report.handlers)
    print(f"{report.file}: loads, {count} handler{'' if count == 1 else 's'}\n")
    facts = [("plugin", f"{plugin['name']} {plugin['version']}"), ("ABI", plugin["abi"]), ("SDK", plugin["sdk"])]
    facts += [("rustc", plugin["rustc"]), ("target", plugin["target"]), ("sha256", plugin["sha256"])]
    print_columns([(f"  {name}", value) for name, value in facts if value.strip()])
    print()
    rows: list[tuple[str, ...]] = [("HANDLER", "KIND", "PARAMETERS", "BODY", "RESPONSE", "SUMMARY")]
    rows += [
        (
            handler["name"],
            handler["kind"],
            ", ".join(_parameter(parameter) for parameter in handler["parameters"] or ()),
            _body(handler["request_body"]),
            _response(handler["response"]),
            handler["summary"] or "",
        )
        for handler in report.handlers
    ]
    print_columns(_without_empty(rows))
    schemas: dict[str, Any] = {}
    for handler in report.handlers:
        schemas.update(handler["schemas"] or {})
    if schemas:
        print()
        print_columns([("SCHEMA", "FIELDS"), *((name, _schema(schema)) for name, schema in sorted(schemas.items()))])


def print_failure(failure: Failure) -> None:
    """Print why the library does not load."""
    print(f"{failure.file}: does not load\n")
    rows = [("  stage", failure.stage), ("  reason", failure.reason)]
    if failure.fix:
        rows.append(("  fix", failure.fix))
    print_columns(rows)


def _described(handler: HandlerInfo) -> dict[str, Any]:
    meta = json.loads(handler["meta"] or "{}")
    return {"name": handler["name"], "kind": handler["kind"], **{key: meta.get(key) for key in _META}}


def _parameter(parameter: Mapping[str, Any]) -> str:
    name = parameter["name"] + ("" if parameter.get("required") else "?")
    return f"{parameter['in']} {name}: {_type(parameter.get('schema'))}"


def _body(body: Mapping[str, Any] | None) -> str:
    if not body:
        return ""
    optional = "" if body.get("required") else ", optional"
    return f"{body.get('content_type', 'any type')} {_type(body.get('schema'))}{optional}"


def _response(response: Mapping[str, Any] | None) -> str:
    if not response:
        return ""
    return f"{response.get('status', '')} {response.get('content_type', '')} {_type(response.get('schema'))}".strip()


def _schema(schema: Any) -> str:
    """A named schema on one line: an object's fields, or its type."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return _type(schema)
    required = schema.get("required") or ()
    return ", ".join(f"{name}{'' if name in required else '?'}: {_type(part)}" for name, part in properties.items())


def _type(schema: Any) -> str:
    if not isinstance(schema, dict) or not schema:
        return "any"
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(part) for part in schema[key]))
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    declared = schema.get("type", "any")
    if declared == "array" and "items" in schema:
        return f"array of {_type(schema['items'])}"
    return declared if isinstance(declared, str) else " or ".join(declared)


def _without_empty(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows without the columns that are empty below their heading."""
    kept = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    return [tuple(row[column] for column in kept) for row in rows]
