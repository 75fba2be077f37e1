"""The language of the `q` parameter of files.list, parsed and evaluated.

https://developers.google.com/workspace/drive/api/guides/ref-search-terms
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .errors import Refusal
from .state import File

Test = Callable[[File], bool]

TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|([A-Za-z_.]+)|(!=|[=()])|(\S))", re.S)
ESCAPE = re.compile(r"\\(.)", re.S)


def wrong() -> Refusal:
    return Refusal("400-invalid", "Invalid Value", "q")


@dataclass
class Query:
    test: Test = lambda file: True
    parents: list[str] = field(default_factory=list)  # all ids that it names as such


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
    single = "not" single | "(" joined ")" | "'...'" "in" "parents" | term

    Google's pages do not say which of "and" and "or" binds closer: "and", as nearly everywhere.
    """

    def __init__(self, text: str, root_id: str) -> None:
        self.tokens = list(_tokens(text))
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
        """'id' in parents"""
        key = self.take("text")
        self.take("word", "in")
        self.take("word", "parents")
        key = self.root_id if key == "root" else key
        self.query.parents.append(key)
        return lambda file: key in file.parents

    def term(self) -> Test:
        key = self.take("word", "name", "mimeType", "trashed")
        is_equal = self.take("mark", "=", "!=") == "="
        if key == "trashed":
            flag = self.take("word", "true", "false") == "true"
            return lambda file: (file.trashed == flag) == is_equal
        text = self.take("text")
        if key == "mimeType":
            return lambda file: (file.mime_type == text) == is_equal
        # Drive takes upper and lower case for the same.
        return lambda file: (file.name.casefold() == text.casefold()) == is_equal


def parse(text: str, root_id: str) -> Query:
    return Parser(text, root_id).parse()
