"""What Google's discovery document says: parameters, scopes and resources of each method."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from .errors import Refusal

Schema = dict[str, Any]
Selection = dict[str, "Selection"]  # what is chosen of an object; an empty one chooses everything
TOKEN = re.compile(r"\s*([A-Za-z0-9_.$-]+|[*(),/])\s*")
KINDS = {"string": str, "boolean": bool, "array": list, "object": dict}
# Google cuts larger values of these down to its maximum, where others are refused.
COERCED = {"pageSize"}
# Not in the document: the id in a session's address, and a word of v2 that rclone still sends.
UNDOCUMENTED = {"upload_id": {"type": "string"}, "setModifiedDate": {"type": "boolean"}}
# In the document, but this fake would not do what they say.
NOT_HERE = {"addParents", "removeParents", "orderBy", "transferOwnership", "useDomainAdminAccess"}


@cache
def document() -> dict[str, Any]:
    name = "discovery_cache/documents/drive.v3.json"
    return json.loads((files("googleapiclient") / name).read_text(encoding="utf-8"))


@cache
def method(name: str) -> dict[str, Any]:
    """By its full name, such as files.list."""
    resource, _, verb = name.partition(".")
    return document()["resources"][resource]["methods"][verb]


# ---- Parameters and bodies -----------------------------------------------------------------------
def check_parameters(name: str, given: dict[str, str]) -> None:
    """Refuse a parameter that the method does not have, or a value that it does not take."""
    known = document()["parameters"] | method(name).get("parameters", {}) | UNDOCUMENTED
    for key, value in given.items():
        if key not in known or key in NOT_HERE or known[key].get("location") == "path":
            text = f'Invalid JSON payload received. Unknown name "{key}": no such parameter.'
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
    """A request's resource, refused where it is none that the document describes."""
    if not isinstance(body, dict):
        raise Refusal("400-parseError")
    known = document()["schemas"][name]["properties"]
    for key, value in body.items():
        if key not in known:
            text = f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.'
            raise Refusal("400-badRequest", text)
        kind = KINDS.get(known[key].get("type", "object"), object)
        if value is not None and not isinstance(value, kind):
            raise Refusal("400-invalid", f"Invalid value for field {key}: {value!r}")
    return body


# ---- The language of `fields`: https://developers.google.com/workspace/drive/api/guides/fields-parameter


@cache
def selection(text: str, resource: str) -> Selection:
    """What a text of this language chooses of a resource, which must have all that it names.

    selection = item {"," item};  item = (name | "*") [ "/" item | "(" selection ")" ]
    """
    tokens = [*TOKEN.findall(text), ")"]
    found = _items(tokens, document()["schemas"][resource], text)
    if tokens or TOKEN.sub("", text):
        raise wrong_fields(text)
    return found


def _items(tokens: list[str], known: Schema, text: str) -> Selection:
    """Take a list of items, and the bracket that ends it, from the tokens."""
    found: Selection = {}
    while True:
        _item(tokens, known, found, text)
        mark = tokens.pop(0) if tokens else ""
        if mark == ")":
            return found
        if mark != ",":
            raise wrong_fields(text)


def _item(tokens: list[str], known: Schema, found: Selection, text: str) -> None:
    name = tokens.pop(0) if tokens else ")"
    inner = known if name == "*" else _below(known, name)
    if inner is None:
        raise wrong_fields(name)
    below = found.setdefault(name, {})
    if tokens[:1] == ["/"]:
        del tokens[0]
        _item(tokens, inner, below, text)
    elif tokens[:1] == ["("]:
        del tokens[0]
        below.update(_items(tokens, inner, text))


def _below(schema: Schema, key: str) -> Schema | None:
    """The schema of one key of an object, or of a list's entries; None where there is no such."""
    while "$ref" in schema or schema.get("type") == "array":
        schema = document()["schemas"][schema["$ref"]] if "$ref" in schema else schema["items"]
    return schema.get("properties", {}).get(key) or schema.get("additionalProperties")


def wrong_fields(text: str) -> Refusal:
    return Refusal("400-invalidParameter", f"Invalid field selection {text}", "fields")


def project(value: Any, chosen: Selection) -> Any:
    """What of a value is chosen."""
    if isinstance(value, list):
        return [project(entry, chosen) for entry in value]
    if not chosen or not isinstance(value, dict):
        return value
    keys = {key: chosen.get("*", {}) | chosen.get(key, {}) for key in value if wants(chosen, key)}
    return {key: project(value[key], below) for key, below in keys.items()}


def wants(chosen: Selection, key: str) -> bool:
    return not chosen or key in chosen or "*" in chosen
