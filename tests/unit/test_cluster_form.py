"""Statements of migrations in the form of a cluster."""

import pytest

from campaignctl.adapters.analytics.cluster_form import ClusterForm
from campaignctl.adapters.analytics.landed import WRITTEN_TABLES
from campaignctl.adapters.analytics.migrations import load_migrations
from campaignctl.adapters.sql_files import load_statements

REPLICATED = ClusterForm("main", "ads", replicated=True)
PLAIN = ClusterForm("main", "ads", replicated=False)

TABLE = """\
-- What it is for.
-- And more.
CREATE TABLE IF NOT EXISTS sums
(
    campaign_id UInt64,
    text        String DEFAULT 'ENGINE = MergeTree'
)
ENGINE = SummingMergeTree
ORDER BY campaign_id
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 100000"""

VIEW = """\
CREATE MATERIALIZED VIEW IF NOT EXISTS sums_of_events TO sums AS
SELECT
    e.campaign_id AS campaign_id
FROM events AS e
GROUP BY campaign_id"""


def test_a_replicated_table_and_the_one_before_all_shards() -> None:
    assert REPLICATED.of(TABLE) == (
        """\
CREATE TABLE IF NOT EXISTS `ads_local`.sums ON CLUSTER `main`
(
    campaign_id UInt64,
    text        String DEFAULT 'ENGINE = MergeTree'
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/main/{shard}/ads_local/sums', '{replica}')
ORDER BY campaign_id
SETTINGS index_granularity = 1024, replicated_deduplication_window = 100000, \
replicated_deduplication_window_seconds = 604800""",
        """\
CREATE TABLE IF NOT EXISTS `ads`.sums ON CLUSTER `main` AS `ads_local`.sums
ENGINE = Distributed('main', 'ads_local', 'sums')""",
    )


def test_without_replicas_only_the_place_differs() -> None:
    own, across = PLAIN.of(TABLE)
    assert own == TABLE.split("\n", 2)[2].replace("EXISTS sums", "EXISTS `ads_local`.sums")
    assert "ON CLUSTER" not in across and across.endswith("ENGINE = Distributed('main', 'ads_local', 'sums')")


def test_a_view_lies_beside_its_tables() -> None:
    assert REPLICATED.of(VIEW) == (
        """\
CREATE MATERIALIZED VIEW IF NOT EXISTS `ads_local`.sums_of_events ON CLUSTER `main` TO `ads_local`.sums AS
SELECT
    e.campaign_id AS campaign_id
FROM `ads_local`.events AS e
GROUP BY campaign_id""",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE events ADD COLUMN x UInt8",
        "DROP TABLE events",
        "INSERT INTO events SELECT 1",
        TABLE.replace("IF NOT EXISTS ", ""),
        TABLE.replace("SummingMergeTree", "Log"),
        TABLE.replace("SummingMergeTree", "SummingMergeTree(x)"),
        VIEW.replace(" TO sums", ""),
        VIEW.replace("FROM events AS e", "FROM events AS e, sums AS s JOIN x ON 1"),
        VIEW.replace("e.campaign_id AS campaign_id", "(SELECT max(1) FROM other) AS campaign_id"),
    ],
)
def test_of_other_statements_no_form_is_known(statement: str) -> None:
    with pytest.raises(ValueError, match="no form for a cluster is known"):
        REPLICATED.of(statement)


@pytest.mark.parametrize("form", [REPLICATED, PLAIN])
def test_every_migration_has_its_form(form: ClusterForm) -> None:
    """A migration of a new kind comes with what it is on a cluster."""
    listed = load_statements("clickhouse", "queries", "schema.sql")["create_list"]
    for statement in [listed, *(text for one in load_migrations() for text in one.statements)]:
        for text in form.of(statement):
            assert ("ON CLUSTER `main`" in text) is form.replicated
            assert not text.startswith("--")


def test_every_table_that_is_written_remembers_tokens_for_a_week() -> None:
    made = [text for one in load_migrations() for statement in one.statements for text in REPLICATED.of(statement)]
    for name in WRITTEN_TABLES:
        (text,) = (one for one in made if f"EXISTS `ads_local`.{name} ON CLUSTER" in one)
        assert "replicated_deduplication_window = 100000, replicated_deduplication_window_seconds = 604800" in text
        assert "non_replicated" not in text and "MergeTree('/clickhouse/tables/main/{shard}/" in text
