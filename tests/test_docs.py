"""README.md, the script and its requirements say the same; the script stays easy to read."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from workdir import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
SCRIPT = (REPOSITORY / "quickstart.py").read_text()
REQUIREMENTS = (REPOSITORY / "requirements.txt").read_text().splitlines()
TREE = ast.parse(SCRIPT)
FENCES = ("# ---- Settings: ", "# ---- ... to here. ")
HOLE = "\0"  # stands in a text for what an f-string fills in
RUN_COMMAND = "pip install -r requirements.txt && python quickstart.py"
TEST_COMMAND = "pip install -r tests/requirements.txt && python -m pytest"


# ---- What the README has -------------------------------------------------------------------------


def one_line(text: str) -> str:
    return " ".join(text.split())


def section(title: str) -> str:
    """What stands under a heading, up to the next one of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", README, re.M | re.S)
    assert found, f"README.md has no section {title!r}"
    return found[2]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)


def code(text: str) -> list[str]:
    """All that is set as code, each on one line."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [one_line(part) for part in [*re.findall(r"`([^`]+)`", prose), *blocks(text)]]


def exit_statuses(text: str) -> dict[int, str]:
    found = re.search(r"Exit status: ((?:\d+ [^,.]+, )+\d+ [^,.]+)\.", one_line(text))
    assert found, "no sentence tells the exit statuses"
    return {int(n): meaning for n, _, meaning in (s.partition(" ") for s in found[1].split(", "))}


# ---- What the script has -------------------------------------------------------------------------


def constants() -> dict[str, ast.expr]:
    """Those of the whole file, in their order."""
    assigned = [node for node in TREE.body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): node.value for node in assigned}


def settings() -> dict[str, object]:
    """The constants between the two fences."""
    lines = enumerate(SCRIPT.splitlines(), 1)
    begin, end = (number for number, line in lines if line.startswith(FENCES))
    found = {name: value for name, value in constants().items() if begin < value.lineno < end}
    return {name: ast.literal_eval(value) for name, value in found.items()}


def advice() -> dict[str, str]:
    return dict(ast.literal_eval(constants()["ADVICE"]))


def is_no_message(node: ast.AST) -> bool:
    """Whether what the node holds is for somebody else than a user with a problem."""
    match node:
        case ast.Expr(ast.Constant()) | ast.FunctionDef(name="preview"):  # docstrings, --dry-run
            return True
        case ast.Call(ast.Attribute(attr="add_argument" | "find")) | ast.keyword("q"):
            return True
        case ast.Call():
            return "sys.stdout" in map(ast.unparse, node.args)
        case ast.Assign():
            names = {"query", "step", "report.step", *settings()}
            return ast.unparse(node.targets[0]) in names
    return False


def texts(node: ast.AST) -> Iterator[str]:
    """All string literals and f-strings in the node, but for those that are no messages."""
    if is_no_message(node):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else HOLE for p in node.values]
        yield "".join(map(str, parts))
        for part in node.values:
            yield from texts(part.value) if isinstance(part, ast.FormattedValue) else ()
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def is_prose(text: str) -> bool:
    """Whether it is a sentence or has two words: keys, types and the like have not."""
    words = set(re.findall(r"[A-Za-z']{2,}", text)) if " " in text.strip() else set()
    return len(words) > 1 or bool(re.fullmatch(r"[A-Z][a-z]+\.", text))


def pattern(text: str) -> re.Pattern[str]:
    """What finds the message. Anything may be in the holes, nothing in those at its ends."""
    return re.compile(re.escape(one_line(text.strip(HOLE + ":\n "))).replace(HOLE, ".+?"))


MESSAGES = sorted({text for text in texts(TREE) if is_prose(text)})
FUNCTIONS = [node for node in ast.walk(TREE) if isinstance(node, ast.FunctionDef)]


def shown(text: str) -> str:
    return one_line(text).replace(HOLE, "...")


# ---- Settings, options, exit statuses, commands --------------------------------------------------


def test_settings() -> None:
    """Names, order and defaults in the table are those in the script."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| \S", section("Settings"), re.M)
    documented = {name: ast.literal_eval(default) for name, default in rows}
    assert documented == settings()
    assert list(documented) == list(settings())


def test_settings_come_first_and_are_explained() -> None:
    lines = SCRIPT.splitlines()
    assert any(line.startswith(FENCES[1]) for line in lines[:40])
    for name in settings():
        (number,) = (n for n, line in enumerate(lines) if line.startswith(f"{name} = "))
        assert lines[number - 1].startswith("# "), f"no comment explains {name}"


def test_options() -> None:
    command = [sys.executable, str(REPOSITORY / "quickstart.py"), "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<=[ ,])--[\w-]+", text.partition("options:")[2]))
    assert "--help" in options
    assert {part for part in code(section("Settings")) if part.startswith("--")} == options


def test_exit_statuses() -> None:
    """The docstring and the README give those that the code gives."""
    used = set()
    for node in ast.walk(TREE):
        is_main = isinstance(node, ast.FunctionDef) and node.name == "main"
        ends = isinstance(node, ast.Call) and ast.unparse(node.func) in ("Problem", "SystemExit")
        for part in ast.walk(node) if is_main or ends else ():
            if isinstance(part, ast.Constant) and type(part.value) is int:
                used.add(part.value)
    documented = exit_statuses(ast.get_docstring(TREE) or "")
    assert set(documented) == used
    assert exit_statuses(README) == documented


@pytest.mark.parametrize(
    ("title", "command"), [("Run", RUN_COMMAND), ("Tests", TEST_COMMAND)], ids=["run", "test"]
)
def test_command(title: str, command: str) -> None:
    assert [f"{command}\n"] == blocks(section(title))


def test_what_ci_runs_is_the_test_command() -> None:
    assert TEST_COMMAND in (REPOSITORY / ".ci" / "run").read_text()


def test_modules_to_run_are_there() -> None:
    modules = re.findall(r"python -m (tests[\w.]+)", README)
    missing = [m for m in modules if not (REPOSITORY / f"{m.replace('.', '/')}.py").is_file()]
    assert (bool(modules), missing) == (True, [])


FIGURES = {
    "SIGN_IN_TIMEOUT": (60, "You have {:g} minutes."),
    "PATIENCE": (60, "gives up after {:g} minutes"),
    "CHUNK_SIZE": (1024 * 1024, "up to {:g} MB of memory"),
}


@pytest.mark.parametrize(("name", "unit", "text"), [(n, *row) for n, row in FIGURES.items()])
def test_figure(name: str, unit: int, text: str) -> None:
    value = eval(ast.unparse(constants()[name]))
    assert text.format(value / unit) in one_line(README)


# ---- Messages ------------------------------------------------------------------------------------


def test_messages_are_found() -> None:
    """The search for messages in the script sees each kind of them."""
    kinds = [
        *advice().values(),
        "FILES must be a list of one or more paths in quotes.",  # a key of a dict
        "is missing",  # assigned
        f"{HOLE} changed during the run: run again when it is at rest.",  # raised
        f"token.json is of no use ({HOLE}): please sign in again.",  # said
        f"{HOLE}. Run: pip install -r requirements.txt",  # printed
        "Interrupted.",
    ]
    assert [kind for kind in kinds if kind not in MESSAGES] == []
    assert len(MESSAGES) > 50


@pytest.mark.parametrize("message", MESSAGES, ids=shown)
def test_message_is_in_the_readme(message: str) -> None:
    found = any(pattern(message).search(part) for part in code(README))
    assert found, f"README.md does not have the message `{shown(message)}`"


@pytest.mark.parametrize("name", advice())
def test_googles_name_stands_behind_its_advice(name: str) -> None:
    there = re.search(rf"`{re.escape(advice()[name])}`\s\(`{name}`", one_line(README))
    assert there, f"README.md does not tell that `{advice()[name]}` comes of `{name}`"


def test_readme_has_no_message_of_old() -> None:
    """What the troubleshooting quotes, up to the words of others, is in the script."""
    own, others, _ = section("Troubleshooting").partition("\nIn words of")
    assert others
    every = [pattern(text) for text in texts(TREE) if re.search("[A-Za-z]{4}", text)]
    partly = [pattern(message) for message in MESSAGES]
    stale = [
        part
        for part in code(own)
        if part not in one_line(SCRIPT)
        and not any(p.search(part) for p in partly)
        and not any(p.fullmatch(part) for p in every)
    ]
    assert stale == []


def test_sign_in_transcript() -> None:
    """It is what the user sees, line by line."""
    (prompt,) = (text for text in texts(TREE) if "ssh -L" in text)
    transcript, *_ = blocks(section("Signing in"))
    for line, expected in zip(transcript.splitlines(), prompt.splitlines(), strict=True):
        assert re.fullmatch(re.escape(expected).replace(HOLE, ".+?"), line), expected


# ---- Requirements --------------------------------------------------------------------------------


def script_header() -> dict[str, Any]:
    """What uv and the like read: https://peps.python.org/pep-0723/"""
    (header,) = re.findall(r"^# /// script\n((?:#.*\n)+?)# ///$", SCRIPT, re.M)
    return tomllib.loads(re.sub(r"^# ?", "", header, flags=re.M))


def test_script_and_requirements_name_the_same_packages() -> None:
    assert script_header()["dependencies"] == REQUIREMENTS


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_requirement_has_both_bounds(requirement: str) -> None:
    assert re.fullmatch(r"[\w-]+>=\d[\d.]*,<\d[\d.]*", requirement)


def test_python_version() -> None:
    oldest = script_header()["requires-python"].removeprefix(">=")
    assert f"You need Python {oldest} or newer" in README
    assert f"python_version = {oldest}\n" in (REPOSITORY / ".mypy.ini").read_text()
    assert f'"py{oldest.replace(".", "")}"' in (REPOSITORY / ".ruff.toml").read_text()


# ---- Form ----------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    lines = README.splitlines()
    assert [line for line in lines if len(line) > 110] == []
    assert len(lines) < 200


def test_links_within_the_repository() -> None:
    targets = re.findall(r"\]\((?!https:)([^)]*)\)", README)
    headings = re.findall(r"^#+ (.*)$", README, re.M)
    anchors = {"#" + re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
    missing = [t for t in targets if t not in anchors and not (REPOSITORY / t).is_file()]
    assert (bool(targets), missing) == (True, [])


def test_no_path_of_the_developers_machine() -> None:
    own_path = re.compile(r"(?<![\w.*])/(?:work|opt|root|tmp)\b(?!-)")
    kinds = ("*.py", "*.md", "*.txt", "*.example", "tests/**/*.py", "tests/**/*.md", "tests/*.svg")
    files = {path for kind in kinds for path in REPOSITORY.glob(kind)}
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in sorted(files)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if own_path.search(line)
    ]
    assert found == []


def length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_functions_are_short() -> None:
    assert {f.name: length(f) for f in FUNCTIONS if length(f) > 40} == {}
    assert statistics.median(map(length, FUNCTIONS)) < 14


def test_signatures_are_annotated() -> None:
    missing = []
    for function in FUNCTIONS:
        every = ast.walk(function.args)
        names = [a.arg for a in every if isinstance(a, ast.arg) and not a.annotation]
        missing += [f"{function.name}({n})" for n in names if n not in ("self", "cls")]
        missing += [f"{function.name}() ->"] if not function.returns else []
    assert missing == []


def test_nothing_is_left_to_do_and_no_error_is_lost() -> None:
    bare = [n for n in ast.walk(TREE) if isinstance(n, ast.ExceptHandler) and not n.type]
    assert [node.lineno for node in bare] == []
    assert re.findall(r"\b(?:TODO|FIXME|XXX)\b.*", SCRIPT) == []


def test_script_is_formatted() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--no-cache", "--diff", "quickstart.py"]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stdout) == (0, "")
