"""Partial responses: the language of the `fields` parameter.

https://developers.google.com/workspace/drive/api/guides/fields-parameter
"""

import re
from typing import Any

from . import schema
from .errors import Refusal

# What is chosen of an object. An empty one chooses everything.
Selection = dict[str, "Selection"]
TOKEN = re.compile(r"\s*([A-Za-z0-9_.$-]+|[*(),/])\s*")


class Parser:
    """selection = item {"," item};  item = (name | "*") [ "/" item | "(" selection ")" ]"""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def parse(self) -> Selection:
        found = self.selection()
        if self.at != len(self.text):
            raise self.error()
        return found

    def selection(self) -> Selection:
        found: Selection = {}
        self.item(found)
        while self.accept(","):
            self.item(found)
        return found

    def item(self, found: Selection) -> None:
        match = TOKEN.match(self.text, self.at)
        if not match or match[1] in "(),/":
            raise self.error()
        self.at = match.end()
        below: Selection = {}
        if self.accept("/"):
            self.item(below)
        elif self.accept("("):
            below = self.selection()
            if not self.accept(")"):
                raise self.error()
        found.setdefault(match[1], {}).update(below)

    def accept(self, mark: str) -> bool:
        match = TOKEN.match(self.text, self.at)
        if not match or match[1] != mark:
            return False
        self.at = match.end()
        return True

    def error(self) -> Refusal:
        return invalid(self.text)


def invalid(text: str) -> Refusal:
    return Refusal("400-invalidParameter", f"Invalid field selection {text}", "fields")


def parse(text: str, resource: str) -> Selection:
    """The selection that text describes, of a resource that knows all of its names."""
    found = Parser(text).parse()
    _check(found, schema.resource(resource))
    return found


def _check(selection: Selection, known: schema.Schema) -> None:
    for key, below in selection.items():
        inner = known if key == "*" else schema.below(known, key)
        if inner is None:
            raise invalid(key)
        if below:
            _check(below, inner)


def project(value: Any, selection: Selection) -> Any:
    """What of value is chosen."""
    if isinstance(value, list):
        return [project(entry, selection) for entry in value]
    if not selection or not isinstance(value, dict):
        return value
    chosen = {key: selection[key] for key in value if key in selection}
    if "*" in selection:
        chosen = dict.fromkeys(value, selection["*"]) | chosen
    return {key: project(value[key], below) for key, below in chosen.items()}


def wants(selection: Selection, key: str) -> bool:
    return not selection or key in selection or "*" in selection
