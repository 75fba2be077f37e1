"""The language of the `q` parameter of files.list, parsed and evaluated.

https://developers.google.com/workspace/drive/api/guides/ref-search-terms
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from . import clock
from .errors import Refusal
from .state import File, rank

Test = Callable[[File], bool]

TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|([A-Za-z_.]+)|(<=|>=|!=|[=<>(){}])|(\S))", re.S)
ESCAPE = re.compile(r"\\(.)", re.S)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
WITH_ROLE = {"owners": "owner", "writers": "writer", "readers": "reader"}


def wrong() -> Refusal:
    return Refusal("400-invalid", "Invalid Value", "q")


@dataclass
class Query:
    test: Test = lambda file: True
    parents: list[str] = field(default_factory=list)  # all ids that it names as such
    compares_names: bool = False  # then it is answered by an index that lags behind

    def finds(self, file: File) -> bool:
        known = not self.compares_names or file.indexed_name is not None
        return known and self.test(file)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each token; text's escapes are resolved."""
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match or match[4]:
            raise wrong()
        at = match.end()
        if match[1]:
            yield "text", ESCAPE.sub(r"\1", match[1][1:-1])
        else:
            yield ("word", match[2]) if match[2] else ("mark", match[3])


class Parser:
    """joined = both {"or" both};  both = single {"and" single};
    single = "not" single | "(" joined ")" | "'...'" "in" collection | term

    Google's pages do not say which of "and" and "or" binds closer: "and", as nearly everywhere.
    """

    def __init__(self, text: str, me: str, root_id: str) -> None:
        self.tokens = list(_tokens(text))
        self.me = me
        self.root_id = root_id
        self.query = Query()

    def parse(self) -> Query:
        if self.tokens:
            self.query.test = self.joined()
        if self.tokens:
            raise wrong()
        return self.query

    def take(self, kind: str, *texts: str) -> str:
        if not self.tokens or self.tokens[0][0] != kind:
            raise wrong()
        if texts and self.tokens[0][1] not in texts:
            raise wrong()
        return self.tokens.pop(0)[1]

    def next_is(self, kind: str, text: str) -> bool:
        return self.tokens[:1] == [(kind, text)]

    def joined(self) -> Test:
        tests = self.chain("or", self.both)
        return lambda file: any(test(file) for test in tests)

    def both(self) -> Test:
        tests = self.chain("and", self.single)
        return lambda file: all(test(file) for test in tests)

    def chain(self, word: str, link: Callable[[], Test]) -> list[Test]:
        tests = [link()]
        while self.next_is("word", word):
            self.take("word")
            tests.append(link())
        return tests

    def single(self) -> Test:
        if self.next_is("word", "not"):
            self.take("word")
            inner = self.single()
            return lambda file: not inner(file)
        if self.next_is("mark", "("):
            self.take("mark")
            found = self.joined()
            self.take("mark", ")")
            return found
        return self.contained() if self.tokens and self.tokens[0][0] == "text" else self.term()

    def contained(self) -> Test:
        """'value' in collection"""
        value = self.take("text")
        self.take("word", "in")
        where = self.take("word", "parents", *WITH_ROLE)
        if where == "parents":
            value = self.root_id if value == "root" else value
            self.query.parents.append(value)
            return lambda file: value in file.parents
        user = self.me if value == "me" else value
        return lambda file: _has_role(file, user, WITH_ROLE[where])

    def term(self) -> Test:
        name = self.take("word")
        if name not in TERMS:
            raise wrong()
        return TERMS[name](self)

    def mark(self, *texts: str) -> str:
        return self.take("mark", *texts)


def _has_role(file: File, user: str, role: str) -> bool:
    held = file.drive.role(file, user)
    return held == role if role == "owner" else rank(held) >= rank(role)


def _name(parser: Parser) -> Test:
    parser.query.compares_names = True
    if parser.next_is("word", "contains"):
        parser.take("word")
        prefix = parser.take("text").casefold()
        # Drive finds beginnings of words only.
        return lambda file: any(word.startswith(prefix) for word in _tails(_known_name(file)))
    mark = parser.mark("=", "!=")
    text = parser.take("text").casefold()  # Drive takes upper and lower case for the same
    return lambda file: (_known_name(file) == text) == (mark == "=")


def _known_name(file: File) -> str:
    return (file.indexed_name or "").casefold()


def _tails(name: str) -> list[str]:
    return [name] + [name[match.end() :] for match in re.finditer(r"[\s_.-]+", name)]


def _mime_type(parser: Parser) -> Test:
    if parser.next_is("word", "contains"):
        parser.take("word")
        part = parser.take("text")
        return lambda file: part in file.mime_type
    compare = COMPARISONS[parser.mark("=", "!=")]
    text = parser.take("text")
    return lambda file: compare(file.mime_type, text)


def _flag(attribute: str) -> Callable[[Parser], Test]:
    def term(parser: Parser) -> Test:
        compare = COMPARISONS[parser.mark("=", "!=")]
        value = parser.take("word", "true", "false") == "true"
        return lambda file: compare(getattr(file, attribute), value)

    return term


def _time(attribute: str) -> Callable[[Parser], Test]:
    def term(parser: Parser) -> Test:
        compare = COMPARISONS[parser.mark(*COMPARISONS)]
        try:
            moment: datetime = clock.parse(parser.take("text"))
        except ValueError:
            raise wrong() from None
        return lambda file: compare(clock.parse(getattr(file, attribute)), moment)

    return term


def _properties(key: str) -> Callable[[Parser], Test]:
    """properties has { key='a' and value='b' }"""

    def term(parser: Parser) -> Test:
        parser.take("word", "has")
        parser.mark("{")
        pair = []
        for name in ("key", "value"):
            parser.take("word", name)
            parser.mark("=")
            pair.append(parser.take("text"))
            if name == "key":
                parser.take("word", "and")
        parser.mark("}")
        return lambda file: file.extra.get(key, {}).get(pair[0]) == pair[1]

    return term


def _shared_with_me(parser: Parser) -> Test:
    value = True
    if parser.next_is("mark", "="):
        parser.mark("=")
        value = parser.take("word", "true", "false") == "true"
    return lambda file: (file.owner not in (None, parser.me) and bool(file.direct)) == value


TERMS: dict[str, Callable[[Parser], Test]] = {
    "name": _name,
    "mimeType": _mime_type,
    "trashed": _flag("trashed"),
    "starred": _flag("starred"),
    "createdTime": _time("created"),
    "modifiedTime": _time("modified"),
    "properties": _properties("properties"),
    "appProperties": _properties("appProperties"),
    "sharedWithMe": _shared_with_me,
}


def parse(text: str, me: str, root_id: str) -> Query:
    return Parser(text, me, root_id).parse()
