"""What a PromQL expression names: series, and the labels asked of them. Enough of the language for rules and dashboards."""

import re
from dataclasses import dataclass, field

_FUNCTIONS = {
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "topk",
    "rate",
    "increase",
    "histogram_quantile",
    "clamp_min",
    "time",
    "absent",
    "vector",
    "predict_linear",
}
_WORDS = {"by", "without", "on", "ignoring", "and", "or", "unless", "bool", "offset", "group_left"}
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<matchers>\{(?:"(?:[^"\\]|\\.)*"|[^}"])*\})
    |(?P<grouping>\b(?:by|without|on|ignoring)\s*\([^)]*\))|(?P<name>(?<![\w.:])[a-zA-Z_:][a-zA-Z0-9_:]*)""",
    re.VERBOSE,
)


@dataclass
class Named:
    series: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)


def named(expression: str) -> Named:
    """Raises ``ValueError`` for a word that is neither a series nor known of the language."""
    found = Named()
    for match in _TOKEN.finditer(expression):
        text = match.group()
        match match.lastgroup:
            case "matchers":
                found.labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)))
            case "grouping":
                found.labels |= set(re.findall(r"\w+", text[text.index("(") :]))
            case "name" if text not in _FUNCTIONS | _WORDS:
                if expression[match.end() :].lstrip().startswith("("):
                    raise ValueError(f"{text} is no function that these checks know")
                found.series.add(text)
    return found
