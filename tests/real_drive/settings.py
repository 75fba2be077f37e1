"""Editing the settings of a script as its user would."""

import ast
from functools import cache
from pathlib import Path
from typing import Any


@cache
def places(text: str) -> dict[str, slice]:
    """The lines in which a script gives each of its constants a value."""
    assignments = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return {ast.unparse(a.targets[0]): slice(a.lineno - 1, a.end_lineno) for a in assignments}


def edited(text: str, settings: dict[str, Any]) -> str:
    """The script with these settings; each may have taken up several lines."""
    found = places(text)
    unknown = settings.keys() - found.keys()
    assert not unknown, f"quickstart.py does not have the settings {sorted(unknown)}"
    lines = text.split("\n")
    for name in sorted(settings, key=lambda name: -found[name].start):  # so that the numbers hold
        lines[found[name]] = [f"{name} = {settings[name]!r}"]
    return "\n".join(lines)


def edit_settings(script: Path, **settings: Any) -> None:
    text = script.read_text(encoding="utf-8")
    script.write_text(edited(text, settings), encoding="utf-8")
