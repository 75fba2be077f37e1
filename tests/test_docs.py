"""README.md, the script and its requirements say the same; the script stays easy to read."""

import ast
import inspect
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser

import httplib2
import pytest
from workdir import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SCRIPT = (REPOSITORY / "quickstart.py").read_text(encoding="utf-8")
REQUIREMENTS = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
TREE = ast.parse(SCRIPT)
FUNCTIONS = [node for node in ast.walk(TREE) if isinstance(node, ast.FunctionDef)]
FENCES = ("# ---- Settings: ", "# ---- ... to here. ")
HOLE = "\0"  # stands in a text for what an f-string fills in
TEST_COMMAND = "pip install -r tests/requirements.txt && python -m pytest"


# ---- What README has -----------------------------------------------------------------------------


def one_line(text: str) -> str:
    return " ".join(text.split())


def section(title: str) -> str:
    """Return what stands under a heading, up to the next one of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", README, re.M | re.S)
    assert found, f"README.md has no section {title!r}"
    return found[2]


def blocks(text: str, language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for marked, block in found if marked == language]


def code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def rows() -> list[str]:
    """Return the first cell of each row of the table of messages."""
    _, _, table = section("Troubleshooting").partition("|---|---|\n")
    return re.findall(r"^\| (.+?) \| .+ \|$", table, re.M)


def exit_statuses(text: str) -> dict[int, str]:
    found = re.search(r"Exit status: ((?:\d+ [^,.]+, )+\d+ [^,.]+)\.", one_line(text))
    assert found, "no sentence tells the exit statuses"
    return {int(n): meaning for n, _, meaning in (s.partition(" ") for s in found[1].split(", "))}


# ---- What the script has -------------------------------------------------------------------------


def constants() -> dict[str, ast.expr]:
    """Return those of the whole file, in their order."""
    assigned = [node for node in TREE.body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): node.value for node in assigned}


def settings() -> dict[str, object]:
    """Return the constants between the two fences."""
    lines = enumerate(SCRIPT.splitlines(), 1)
    begin, end = (number for number, line in lines if line.startswith(FENCES))
    found = {name: value for name, value in constants().items() if begin < value.lineno < end}
    return {name: ast.literal_eval(value) for name, value in found.items()}


EXPLANATIONS: dict[str, str] = ast.literal_eval(constants()["EXPLANATIONS"])


def is_no_message(node: ast.AST) -> bool:
    """Say whether what the node holds is for somebody else than a user with a problem."""
    match node:
        case ast.Expr(ast.Constant()):  # a docstring
            return True
        case ast.FunctionDef(name="preview" | "summarize"):  # results
            return True
        case ast.FunctionDef(name="copy"):  # whose GaveUp nobody is shown
            return True
        case ast.Call(ast.Attribute(attr="add_argument" | "find" | "format")):
            return True
        case ast.Call(
            ast.Name(id="ConnectionResetError") | ast.Attribute(attr="HTTPException")
        ):  # words in brackets
            return True
        case ast.Call():
            return "sys.stdout" in map(ast.unparse, node.args)
        case ast.Assign():
            return ast.unparse(node.targets[0]) in {"PAGE", "title", *settings()}
    return False


def texts(node: ast.AST) -> Iterator[str]:
    """Yield all string literals and f-strings in the node, but for those that are no messages."""
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


def is_sentence(text: str) -> bool:
    """Say whether it is one, or ends like one: keys, names of steps and types do not."""
    ends = re.search(r"[a-z]{2}.*(?<!\.)[.:](?:[\s\0]|$)", text, re.S)
    return bool(ends) and (" " in text or text[0].isupper()) and "Content-Type" not in text


def first_sentence(message: str) -> str:
    """Return what a user would search for: a terminal shows it on one line."""
    return re.split(r"(?<=[.?:])\s", message.strip(HOLE + ": \n"))[0].partition("\n")[0]


def beginnings(line: str) -> Iterator[str]:
    """Yield the line, and what it begins with up to the end of each sentence or clause."""
    yield line
    for end in re.finditer(r"(?<=[^\s\0][.?:,])(?=\s)", line):
        yield line[: end.end()]


def pattern(text: str) -> str:
    return re.escape(text).replace(HOLE, ".+?")


MESSAGES = sorted({text for text in texts(TREE) if is_sentence(text)})
# Those lines of all texts that are more than holes.
LINES = [
    line for text in texts(TREE) for line in text.splitlines() if re.search("[A-Za-z]{3}", line)
]


def shown(text: str) -> str:
    return one_line(text).replace(HOLE, "...")


# ---- Settings, options, exit statuses, commands --------------------------------------------------


def test_settings() -> None:
    """Names, order and defaults in the table are those in the script."""
    table = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| \S", README, re.M)
    documented = {name: ast.literal_eval(default) for name, default in table}
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
    assert {part for part in code(README) if part.startswith("--")} == options


def test_exit_statuses() -> None:
    """The docstring and README give those that the code gives."""
    used = set()
    for node in ast.walk(TREE):
        is_end = isinstance(node, ast.FunctionDef) and node.name in ("main", "stop")
        is_exit = isinstance(node, ast.Call) and ast.unparse(node.func) == "SystemExit"
        for part in ast.walk(node) if is_end or is_exit else ():
            if isinstance(part, ast.Constant) and type(part.value) is int:
                used.add(part.value)
    # 128 + number stands for both signals.
    used = used - {128} | {130, 143} if 128 in used else used
    documented = exit_statuses(ast.get_docstring(TREE) or "")
    assert set(documented) == used
    assert exit_statuses(README) == documented


def test_commands_are_the_same_on_every_system() -> None:
    """What PowerShell gets is what the Unix shell gets, and && is a mistake in PowerShell 5.1."""
    of_windows = blocks(README, "powershell")
    assert of_windows
    for block in of_windows:
        assert "&&" not in block
        unix = block.replace("\\", "/").replace("Scripts", "bin").replace("py -m", "python3 -m")
        assert unix in blocks(README, "sh")


def test_files_in_commands_are_there() -> None:
    unix = README.replace("\\", "/")
    named = set(re.findall(r"(?:-r |venv/bin/python )(\w[\w/]+\.(?:txt|py))", unix))
    assert {"tests/try_it.txt", "tests/requirements.txt", "quickstart.py"} <= named
    modules = {name.replace(".", "/") for name in re.findall(r"python -m (tests\.\w+)", unix)}
    assert {"tests/try_it", "tests/real_drive"} <= modules
    folders = {name for name in modules if (REPOSITORY / name).is_dir()}
    named |= {f"{name}.py" for name in modules - folders} | {f"{n}/__main__.py" for n in folders}
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_what_ci_runs_is_the_test_command() -> None:
    assert [f"{TEST_COMMAND}\n"] == blocks(section("Tests"), "sh")
    assert TEST_COMMAND in (REPOSITORY / ".ci" / "run").read_text()


FIGURES = {
    "SIGN_IN_TIMEOUT": (60, "You have {:g} minutes"),
    "PATIENCE": (1, "giving up in {:g} s"),
    "CHUNK_SIZE": (1024 * 1024, "up to {:g} MB of memory"),
}


@pytest.mark.parametrize(("name", "unit", "text"), [(n, *row) for n, row in FIGURES.items()])
def test_figure(name: str, unit: int, text: str) -> None:
    value = eval(ast.unparse(constants()[name]))
    assert text.format(value / unit) in one_line(README)


# ---- Messages ------------------------------------------------------------------------------------


def test_messages_are_found() -> None:
    """The search for messages in the script sees those in each kind of place."""
    places = ("raise Problem(", "EXPLANATIONS", "rules", "report.say(", "print(", "report.begin(")
    assert [place for place in places if place not in SCRIPT] == []
    kinds = [
        *EXPLANATIONS.values(),
        "FILES must be a list of one or more paths in quotes.",  # a key of a dict
        "Interrupted.",  # assigned
        "Nothing in Drive was changed.",  # how the run left Drive
    ]
    assert [kind for kind in kinds if kind not in MESSAGES] == []
    assert len(MESSAGES) > 60


@pytest.mark.parametrize("message", MESSAGES, ids=shown)
def test_user_finds_the_message_in_readme(message: str) -> None:
    """Each run of literal words in its first sentence is there, unbroken."""
    parts = [part.strip(' .,()"') for part in first_sentence(message).split(HOLE)]
    missing = [part for part in parts if " " in part and part not in README]
    assert missing == []


@pytest.mark.parametrize("reason", [name for name in EXPLANATIONS if not name.isupper()])
def test_user_finds_googles_reason(reason: str) -> None:
    """The message, which has it in brackets, stands beside it."""
    assert f"`{first_sentence(EXPLANATIONS[reason])}` `{reason}`" in rows()


PYTHONS = {
    "unicodeescape": r'["C:\Users\me\photo.jpg"]',
    "unterminated": '["a.txt, "b.txt"]',
    "invalid character": "[“a.txt”]",
    "not defined": "[photo.jpg]",
}


@pytest.mark.parametrize("files", PYTHONS.values(), ids=PYTHONS.keys())
def test_user_finds_pythons_message(files: str) -> None:
    """What Python says of a mistake in FILES."""
    with pytest.raises((SyntaxError, NameError)) as caught:
        exec(f"FILES = {files}", {})
    words = f"{caught.type.__name__}: {caught.value}"
    assert any(code(row)[0] in words for row in rows())


def test_readme_has_no_message_of_old() -> None:
    """Each row quotes the script, Python, httplib2 or Google."""
    quotes = [pattern(words) for line in LINES for words in beginnings(line)]
    others = ("Error: ", "'unicodeescape'", "Unable to find the server")
    stale = [
        quoted
        for quoted in (code(row)[0] for row in rows())
        if quoted not in EXPLANATIONS
        and not any(word in quoted for word in others)
        and not any(re.fullmatch(p, quoted) for p in quotes)
    ]
    assert stale == []
    assert "Unable to find the server" in inspect.getsource(httplib2)


def test_sign_in_transcript() -> None:
    """The first run looks as README shows it, line by line."""
    (transcript,) = (block for block in blocks(README) if "ssh -L" in block)
    shown = [line for line in transcript.splitlines() if not line.startswith("https:")]
    assert [s for s in shown if not any(re.fullmatch(pattern(line), s) for line in LINES)] == []


# ---- Requirements --------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_requirement_has_both_bounds(requirement: str) -> None:
    assert re.fullmatch(r"[\w-]+>=\d[\d.]*,<\d[\d.]*", requirement)


def test_python_version() -> None:
    mypy = ConfigParser()
    mypy.read(REPOSITORY / ".mypy.ini")
    oldest = mypy["mypy"]["python_version"]
    assert f"{oldest} or newer" in README
    assert f'"py{oldest.replace(".", "")}"' in (REPOSITORY / ".ruff.toml").read_text()


# ---- Form ----------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    lines = README.splitlines()
    assert [line for line in lines if len(line) > 110] == []
    assert len(lines) <= 220


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
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if own_path.search(line)
    ]
    assert found == []


def length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_script_is_short() -> None:
    assert len(SCRIPT.splitlines()) <= 1219
    assert {f.name: length(f) for f in FUNCTIONS if length(f) > 40} == {}
    assert statistics.median(map(length, FUNCTIONS)) <= 11


def test_nothing_is_left_to_do_and_no_error_is_lost() -> None:
    bare = [n for n in ast.walk(TREE) if isinstance(n, ast.ExceptHandler) and not n.type]
    assert [node.lineno for node in bare] == []
    assert re.findall(r"\b(?:TODO|FIXME|XXX)\b.*", SCRIPT) == []
