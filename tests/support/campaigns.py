"""Thousands of campaigns at once, straight into SQLite: by the API each of them would be a durable transaction."""

from campaignctl.bootstrap import App

_CAMPAIGN = """
INSERT INTO campaigns (organization_id, name, name_key, budget_period, currency, timezone, status, created_at_us,
                       updated_at_us)
SELECT :organization, 'bulk ' || value, 'bulk ' || value, 'total', 'USD', 'UTC',
       CASE value % 2 WHEN 0 THEN 'active' ELSE 'paused' END, 0, 0
FROM json_each(:numbers)
"""
_LINK = """
INSERT INTO platform_links (campaign_id, position, organization_id, platform, account_id, external_id, level)
SELECT id, 0, organization_id, 'meta', 'act_1', 'native-' || id, 'campaign'
FROM campaigns
WHERE organization_id = :organization AND name LIKE 'bulk %'
"""


def add_campaigns(app: App, organization_id: int, number: int) -> None:
    """Campaigns ``bulk 1`` and so on, linked to Meta; the even ones are active, the others paused."""
    numbers = f"[{','.join(map(str, range(1, number + 1)))}]"
    with app.metadata._database.writing() as tx:  # type: ignore[attr-defined]
        tx._connection.execute(_CAMPAIGN, {"organization": organization_id, "numbers": numbers})
        tx._connection.execute(_LINK, {"organization": organization_id})
