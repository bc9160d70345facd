import pytest

from campaignctl.domain.platforms import account_key, native_key


@pytest.mark.parametrize(
    ("platform", "written", "key"),
    [
        ("meta", "act_123", "123"),
        ("meta", " 123 ", "123"),
        ("meta", "act_", "act_"),
        ("google", "123-456-7890", "1234567890"),
        ("google", "123 456 7890", "1234567890"),
        ("google", "1234567890", "1234567890"),
        ("google", "customers", "customers"),
        ("linkedin", "urn:li:sponsoredAccount:42", "42"),
        ("linkedin", "42", "42"),
        ("linkedin", "urn:li:sponsoredCampaign:42", "urn:li:sponsoredCampaign:42"),
        ("tiktok", "act_7-1", "act_7-1"),
    ],
)
def test_an_account_is_compared_without_its_spelling(platform: str, written: str, key: str) -> None:
    assert account_key(platform, written) == key
    assert account_key(platform, key) == key


@pytest.mark.parametrize(
    ("platform", "level", "written", "key"),
    [
        ("meta", "campaign", "120210000000000001", "120210000000000001"),
        ("google", "campaign", "customers/123/campaigns/456", "456"),
        ("linkedin", "campaign", "urn:li:sponsoredCampaign:5", "5"),
        ("linkedin", "campaign_group", "urn:li:sponsoredCampaignGroup:6", "6"),
        ("linkedin", "campaign_group", "urn:li:sponsoredCampaign:5", "urn:li:sponsoredCampaign:5"),
        ("tiktok", "campaign", " 7 ", "7"),
    ],
)
def test_a_native_campaign_is_compared_by_its_number(platform: str, level: str, written: str, key: str) -> None:
    assert native_key(platform, level, written) == key
    assert native_key(platform, level, key) == key
