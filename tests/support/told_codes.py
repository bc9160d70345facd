"""Every code that the source can tell, found in the source itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_IN_JSON = re.compile(r'"code": "([a-z_]+)"')
_FIRST_OF = {"Warning_": 0, "Problem": 1, "Failure": 1, "Finding": 0, "warn": 0}
"""Which argument of a call is a code."""


def codes() -> dict[str, str]:
    """Each code, and one place that tells it."""
    found: dict[str, str] = {}
    for package in ("campaignctl", "server", "worker"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                for code in _told(node):
                    found.setdefault(code, f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    return found


def _told(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=[ast.Name(id="code")], value=value) | ast.keyword(arg="code", value=value):
            yield from _words(value)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from _words(value)
        case ast.JoinedStr():  # JSON that is written by hand
            yield from _IN_JSON.findall("".join(str(one.value) for one in node.values if isinstance(one, ast.Constant)))
        case ast.ClassDef(name="RejectReason" | "LetterCode", body=body):
            yield from (word for one in body if isinstance(one, ast.Assign) for word in _words(one.value))
        case ast.Call(func=func, args=args):
            name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
            if name in _FIRST_OF and len(args) > _FIRST_OF[name]:
                yield from _words(args[_FIRST_OF[name]])


def _words(value: ast.AST) -> Iterator[str]:
    """The string itself, or either side of a condition."""
    match value:
        case ast.Constant(value=str() as word) if re.fullmatch(r"[a-z][a-z_]+", word):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from _words(one)
            yield from _words(other)
