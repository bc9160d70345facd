"""The copy of the rules that a rehearsal loads asks the same, of shorter times."""

import re
from itertools import pairwise

import pytest
import yaml

from tests.chaos.prometheus import PROMETHEUS, shortened, window_s
from tests.deploy.promql import named

RULES = (PROMETHEUS / "rules.yml").read_text()


def _rules(loaded: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[dict[str, str]]:
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def test_only_durations_differ() -> None:
    original, short = _rules(yaml.safe_load(RULES)), _rules(shortened(RULES))
    assert len(original) == len(short)
    for before, after in zip(original, short, strict=True):
        assert named(before["expr"]).series == named(after["expr"]).series
        assert before.get("alert") == after.get("alert")
        assert not re.search(r"\[\d+[mhd]\]|offset \d+[mhd]|86400\)", after["expr"]), after["expr"]
        assert ("for" in before) == ("for" in after)
    tokens = {match for rule in short for match in re.findall(r"\d+ \* 86400", rule["expr"])}
    assert tokens == {"7 * 86400"}, "what is compared with stays"


def test_longer_ones_stay_longer() -> None:
    short = [window_s(duration) for duration in ("5m", "10m", "30m", "1h", "2h", "6h", "1d", "3d")]
    assert all(before < after for before, after in pairwise(short))


def test_a_duration_without_a_short_form_is_an_error() -> None:
    rule = {"groups": [{"name": "x", "rules": [{"record": "a:b", "expr": "rate(up[17m])"}]}]}
    with pytest.raises(KeyError, match="17m"):
        shortened(yaml.safe_dump(rule))
