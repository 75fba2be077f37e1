"""What Google's discovery document says: parameters, scopes and resources of each method."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from .errors import Refusal

Schema = dict[str, Any]
# Google cuts larger values of these down to its maximum, where others are refused.
COERCED = {"pageSize"}


@cache
def document() -> dict[str, Any]:
    name = "discovery_cache/documents/drive.v3.json"
    return json.loads((files("googleapiclient") / name).read_text(encoding="utf-8"))


@cache
def method(name: str) -> dict[str, Any]:
    """By its full name, such as files.list."""
    resource, _, verb = name.partition(".")
    return document()["resources"][resource]["methods"][verb]


@cache
def parameters(name: str) -> dict[str, Schema]:
    found = dict(document()["parameters"])
    found.update(method(name).get("parameters", {}))
    # Not in the document: the id in a session's address, and a word of v2 that rclone still sends.
    return found | {"upload_id": {"type": "string"}, "setModifiedDate": {"type": "boolean"}}


@cache
def scopes(name: str) -> frozenset[str]:
    return frozenset(method(name)["scopes"])


def resource(name: str) -> Schema:
    return document()["schemas"][name]


def below(schema: Schema, key: str) -> Schema | None:
    """The schema of one key of an object, or of a list's entries; None where there is no such."""
    schema = inside(schema)
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    return schema.get("additionalProperties")


def inside(schema: Schema) -> Schema:
    """The schema without the wrappings: references followed, lists opened."""
    while True:
        if "$ref" in schema:
            schema = resource(schema["$ref"])
        elif schema.get("type") == "array":
            schema = schema["items"]
        else:
            return schema


def check_parameters(name: str, given: dict[str, str]) -> None:
    """Refuse a parameter that the method does not have, or a value that it does not take."""
    known = parameters(name)
    for key, value in given.items():
        if key not in known or known[key].get("location") == "path":
            text = (
                f'Invalid JSON payload received. Unknown name "{key}": Cannot bind query parameter.'
            )
            raise Refusal("400-badRequest", text)
        _check_value(key, value, known[key])


def _check_value(key: str, value: str, known: Schema) -> None:
    if known["type"] == "boolean" and value not in ("true", "false"):
        raise Refusal("400-invalidParameter", f"Invalid boolean value: '{value}'.", key)
    if known["type"] != "integer":
        return
    number = int(value) if value.lstrip("-").isdecimal() else None
    low = int(known.get("minimum", -(2**31)))
    high = 2**31 - 1 if key in COERCED else int(known.get("maximum", 2**31 - 1))
    if number is None or not low <= number <= high:
        text = f"Invalid value '{value}'. Values must be within the range: [{low}, {high}]"
        raise Refusal("400-invalidParameter", text, key)


def check_body(name: str, body: Any) -> dict[str, Any]:
    """A request's resource, refused where it is none that the schema describes."""
    if not isinstance(body, dict):
        raise Refusal("400-parseError")
    known = resource(name)["properties"]
    for key, value in body.items():
        if key not in known:
            text = f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.'
            raise Refusal("400-badRequest", text)
        if not _fits(value, known[key]):
            raise Refusal("400-invalid", f"Invalid value for field {key}: {value!r}")
    return body


def _fits(value: Any, schema: Schema) -> bool:
    kinds = {"string": str, "boolean": bool, "array": list, "object": dict}
    kind = kinds.get(inside(schema)["type"] if "$ref" in schema else schema["type"])
    return value is None or kind is None or isinstance(value, kind)


def read_only(name: str) -> set[str]:
    """The keys of a resource that only Google writes."""
    return {
        key
        for key, schema in resource(name)["properties"].items()
        if schema.get("readOnly") or schema.get("description", "").startswith("Output only")
    }
