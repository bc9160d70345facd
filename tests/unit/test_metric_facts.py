"""What is told of metrics is what is counted."""

import pytest

from campaignctl.adapters.ad_platforms import definitions
from campaignctl.domain.insights import Metric, Ratio
from campaignctl.domain.metric_facts import facts_of, metric_named, parts_of
from campaignctl.domain.platforms import Platform
from campaignctl.errors import ConfigurationError


def test_every_metric_says_what_each_platform_counts() -> None:
    for metric in Metric:
        facts = facts_of(metric)
        assert facts.meaning and facts.formula and facts.unit and facts.stream
        assert set(facts.platforms) == set(Platform)
        assert parts_of(metric) == (metric,)


def test_every_ratio_names_its_parts() -> None:
    for ratio in Ratio:
        facts = facts_of(ratio)
        over, under = parts_of(ratio)
        assert over in facts.formula.split(";")[0] and f"/ {under}" in facts.formula
        assert facts.unit and facts.meaning
    assert metric_named("cpc") is Ratio.CPC and metric_named("spend") is Metric.SPEND and metric_named("x") is None


@pytest.mark.parametrize(
    "vocabulary",
    [definitions.META, definitions.GOOGLE, definitions.LINKEDIN, definitions.TIKTOK],
    ids=lambda vocabulary: vocabulary.platform,
)
def test_the_default_definition_is_told_as_it_is(vocabulary: definitions.Vocabulary) -> None:
    told = facts_of(Metric.CONVERSIONS).platforms[Platform(vocabulary.platform)]
    assert told.startswith(f"{vocabulary.default.version}: ")
    assert all(action in told for action in vocabulary.default.actions)
    assert definitions.actions_of(vocabulary.default.version, {}) == vocabulary.default.actions


def test_a_configured_list_is_known_and_no_other() -> None:
    names = ("lead", "purchase")
    version = definitions.META.chosen(names).version
    assert definitions.actions_of(version, {"meta": names}) == names
    assert definitions.actions_of(version, {"meta": ("lead",)}) is None
    assert definitions.actions_of(version, {}) is None
    assert definitions.actions_of("other-1", {"meta": names}) is None
    with pytest.raises(ConfigurationError):
        definitions.actions_of("google-list-0", {"google": ("nothing",)})
