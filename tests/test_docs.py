"""README.md, the script, its requirements and CI say the same."""

import ast
import re
import subprocess
import sys
from configparser import ConfigParser

import picture
import pytest
import try_it
from user import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SCRIPT = (REPOSITORY / "quickstart.py").read_text(encoding="utf-8")
CI = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
TREE = ast.parse(SCRIPT)
CONSTANTS = {ast.unparse(n.targets[0]): n.value for n in TREE.body if isinstance(n, ast.Assign)}
HOLE = "\0"  # stands in a text for what an f-string fills in
# Messages of others, which the table of messages explains too.
OTHERS = (
    "rror: ",
    "ensurepip",
    "The term 'py'",
    "Access blocked",
    "Unable to find the server",
    "ERROR: No matching",
)


def texts(node):
    """All string literals and f-strings in the node but docstrings."""
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else HOLE for p in node.values]
        yield "".join(parts)
        node = [part for part in node.values if isinstance(part, ast.FormattedValue)]
    elif isinstance(node, ast.Constant):
        yield from [node.value] * isinstance(node.value, str)
    children = node if isinstance(node, list) else ast.iter_child_nodes(node)
    for child in children:
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from texts(child)


def pattern(text):
    return re.escape(text).replace(HOLE, ".+?")


def first_sentence(text):
    return re.split(r"(?<=[.?]) |  ", text.strip(HOLE + " ").partition("\n")[0])[0]


def code(text):
    return re.findall(r"`([^`\n]+)`", text)


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)\n```$", README, re.M | re.S)
    return [block for kind, block in found if kind == language]


# The rules of the settings, each as the script says it.
RULE = "{} must be there, and be {}."
RULES = [RULE.format(*item) for item in ast.literal_eval(CONSTANTS["SETTINGS"]).items()]
TEXTS = {*texts(TREE), *RULES} - {RULE.format(HOLE, HOLE)}
LINES = [line for text in TEXTS for line in text.splitlines() if re.search("[a-z]{3}", line)]
TABLE = README.partition("\n## Troubleshooting\n")[2].partition("\n## ")[0]
ROWS = [code(row)[0] for row in re.findall(r"^\| (`.+?) \| .+ \|$", TABLE, re.M)]
COMMANDS = [line for line in blocks("sh") if line.startswith("python3")]
# Those that end like a sentence, and results: words, then what they are about.
MESSAGE = r"[a-z]{2} .*[\w\0)\"][.:](\s|\0|$)|^[a-z][\w ,()]+  \0|^Run quickstart"
MESSAGES = sorted({text for text in TEXTS if re.search(MESSAGE, text)})


def shown(text):
    return " ".join(text.replace(HOLE, "...").split())


# ---- Settings, options, exit statuses ------------------------------------------------------------
def test_settings():
    """Names, order and defaults in the table are those between the script's fences."""
    above = SCRIPT[: SCRIPT.index("# ---- ... to here.")].count("\n")
    found = {n: ast.literal_eval(v) for n, v in CONSTANTS.items() if v.lineno <= above}
    table = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| \S", README, re.M)
    assert [(n, ast.literal_eval(default)) for n, default in table] == list(found.items())


def test_options():
    command = [sys.executable, str(REPOSITORY / "quickstart.py"), "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"--[\w-]+", text.partition("options:")[2]))
    assert "README.md" in text
    assert {part for part in code(README) if re.fullmatch("--[a-z-]+", part)} == options


def test_exit_statuses():
    """The docstring and README tell the same, and those are the numbers that end the script."""
    told = r"Exit status: ((?:\d+ [^,.]+, )+\d+ [^,.]+)\."
    (readme,) = re.findall(told, " ".join(README.split()))
    assert re.findall(told, " ".join(ast.get_docstring(TREE).split())) == [readme]
    ends = r"(?:SystemExit\(|\bend\(|^        return )(\d+)\b"
    assert set(re.findall(ends, SCRIPT, re.M)) == set(re.findall(r"(\d+) ", readme))


# ---- Messages ------------------------------------------------------------------------------------
@pytest.mark.parametrize("message", MESSAGES, ids=shown)
def test_user_finds_the_message_in_readme(message):
    """What a user would search for stands there on one line."""
    wanted = pattern(first_sentence(message))
    assert re.search(wanted, README), wanted


@pytest.mark.parametrize("row", ROWS)
def test_row_of_readme_is_a_message(row):
    """It is a line that the script prints, or what that begins with; or it is somebody else's."""
    parts = [part for line in LINES for part in (line, first_sentence(line))]
    is_line = any(re.fullmatch(pattern(part.strip()), row) for part in parts)
    assert is_line or any(words in row for words in OTHERS)


def test_each_reason_of_google_has_a_row():
    dicts = [n for n in ast.walk(CONSTANTS["EXPLANATIONS"]) if isinstance(n, ast.Dict)]
    keys = {key.value for found in dicts for key in found.keys}
    keys |= ast.literal_eval(CONSTANTS["RATE_LIMITS"])
    keys -= ast.literal_eval(CONSTANTS["TRANSIENT"].right)  # words of the script's own
    assert {key for key in keys if f"`{key}` " not in TABLE} == set()


@pytest.mark.parametrize(
    "settings",
    [
        r'FILES = ["C:\Users\me\photo.jpg"]',
        'FILES = ["a.txt, "b.txt"]',
        "FILES = [“a.txt”]",
        "FILES = [photo.jpg]",
        'FILES = ["a.txt"',
        "FOLDER_NAME = My reports",
        "  FOLDER_NAME = 'Reports'",
        "DELETE_PERMANENTLY = false",
    ],
)
def test_user_finds_pythons_message(settings):
    with pytest.raises((SyntaxError, NameError)) as caught:
        exec(settings, {})
    words = f"{caught.type.__name__}: {caught.value}"
    assert any(row in words for row in ROWS), words


def test_first_run_looks_as_shown():
    (transcript,) = (block for block in blocks("") if "ssh -L" in block)
    lines = [line.partition("  ")[0] for line in transcript.splitlines() if line[:6] != "https:"]
    assert [s for s in lines if not any(re.fullmatch(pattern(line), s) for line in LINES)] == []


def test_picture_shows_a_run(user):
    shown = picture.PICTURE.read_text(encoding="utf-8")
    assert picture.shown(shown) == picture.shown(picture.draw(picture.run(user)))


# ---- Commands and requirements -------------------------------------------------------------------
def test_commands_are_the_same_on_every_system():
    def in_powershell(command):
        command = command.replace("python3 ", "py ").replace(" &&", ";")
        return command.replace("/", "\\").replace("bin", "Scripts")

    assert try_it.COMMAND in README
    for command in blocks("sh"):
        assert f"\n{in_powershell(command)}\n" in README or f"`{in_powershell(command)}`" in README


def test_ci_runs_the_commands_as_they_stand():
    wanted = re.findall(r'grep -x "(.+)" README\.md', CI)
    found = [[line for line in README.splitlines() if re.fullmatch(rule, line)] for rule in wanted]
    assert [len(lines) for lines in found] == [1, 1]
    assert {line for (line,) in found} == {c for c in COMMANDS if " tests/" in c}


def test_files_and_headings_that_are_named_are_there():
    links = re.findall(r"\]\((?!https:)(\S+?)\)", README)
    headings = re.findall(r"^#+ (.*)$", README, re.M)
    anchors = {"#" + re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    named = {*links, *re.findall(r"\btests/[\w/]+\.\w+", README)} - anchors
    modules = (REPOSITORY / "tests" / "README.md").read_text(encoding="utf-8")
    named |= {f"tests/{name}" for name in re.findall(r"\b\w+\.(?:py|txt)\b", modules)}
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []
    assert anchors & set(links)


def test_requirements_have_both_bounds():
    for requirement in (REPOSITORY / "requirements.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w-]+>=\d[\d.]*,<\d[\d.]*", requirement)


def test_python_version():
    mypy = ConfigParser()
    mypy.read(REPOSITORY / ".mypy.ini")
    oldest = mypy["mypy"]["python_version"]
    assert f"(https://www.python.org/downloads/) {oldest} or newer" in README
    assert f'"py{oldest.replace(".", "")}"' in (REPOSITORY / ".ruff.toml").read_text()
