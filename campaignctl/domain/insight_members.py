"""The members of an answer's rows, in the order in which tables and files have them."""

from collections.abc import Mapping
from typing import Any

from campaignctl.domain.insights import Dimension, Metric, Ratio

PERIOD = ("period_start", "period_end", "partial")
NUMBERS = (*(metric.value for metric in Metric), *(ratio.value for ratio in Ratio))
ORIGIN = ("source", "finality")


def group_members(answer: Mapping[str, Any]) -> list[str]:
    """The members that tell the rows of one period apart, in the order asked."""
    return [Dimension(name).member for name in answer["group_by"]]


def row_members(answer: Mapping[str, Any]) -> list[str]:
    """Every member of a row."""
    return [*PERIOD, *group_members(answer), *NUMBERS, *ORIGIN]
