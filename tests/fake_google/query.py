"""The language of the `q` parameter of files.list.

https://developers.google.com/workspace/drive/api/guides/ref-search-terms
"""

import re
from collections.abc import Callable
from typing import Any

from .errors import Refusal

TEXT = r"'(?:[^'\\]|\\.)*'"
# Terms, and what joins them. Google's pages do not say which of "and" and "or" binds closer; here
# "and" does, as nearly everywhere.
TOKEN = re.compile(
    rf"\s*(?:(?P<parent>{TEXT})\s+in\s+parents\b"
    rf"|(?P<key>name|mimeType)\s*(?P<sign>!?=)\s*(?P<text>{TEXT})"
    r"|trashed\s*(?P<equal>!?=)\s*(?P<flag>true|false)\b"
    r"|(?P<mark>\(|\)|and\b|or\b|not\b))",
    re.S,
)


def parse(text: str, root_id: str) -> tuple[Callable[[Any], bool], list[str]]:
    """The test that a query puts to a file, and the ids of all parents that it names.

    Only known terms reach Python's own parser, as t0, t1, ...: its grammar is the same here.
    """
    terms: list[Callable[[Any], bool]] = []
    parents: list[str] = []
    source, at, text = "", 0, text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Refusal("400-invalid", "Invalid Value", "q")
        at = match.end()
        if match["mark"]:
            source += f" {match['mark']} "
            continue
        if match["parent"]:
            key = _unquoted(match["parent"])
            parents.append(root_id if key == "root" else key)
        source += f" t{len(terms)} "
        terms.append(_term(match, parents))
    try:
        if re.search(r"(\)|t\d+) *\(|\( *\)", source):  # which Python takes for calls, and a tuple
            raise SyntaxError
        code = compile(source.strip() or "True", "q", "eval")
    except SyntaxError:
        raise Refusal("400-invalid", "Invalid Value", "q") from None
    return lambda file: eval(code, {f"t{i}": term(file) for i, term in enumerate(terms)}), parents


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.S)


def _term(match: re.Match[str], parents: list[str]) -> Callable[[Any], bool]:
    if match["parent"]:
        parent = parents[-1]
        return lambda file: parent in file.parents
    is_equal = "!=" not in (match["sign"], match["equal"])
    if match["flag"]:
        flag = match["flag"] == "true"
        return lambda file: (file.trashed == flag) == is_equal
    text = _unquoted(match["text"])
    if match["key"] == "mimeType":
        return lambda file: (file.mime_type == text) == is_equal
    # Drive takes upper and lower case for the same.
    return lambda file: (file.name.casefold() == text.casefold()) == is_equal
