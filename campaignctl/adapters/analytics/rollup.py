"""Rows of the rollup, as they are read and written."""

import numpy as np
from numpy.typing import NDArray

from campaignctl.adapters.analytics.native import Column, Table
from campaignctl.ports.rollup import SUM_COLUMNS, Recount, RollupRows

_LABEL = "LowCardinality(String)"


def recounted(table: Table) -> Recount:
    """What the statement ``recount`` has answered."""
    current = _rows(table, "current_")
    lacking = _rows(table, "")
    lacks = lacking.last_event_us > current.last_event_us
    for values in lacking.sums.values():
        lacks |= values != 0
    return Recount(
        current,
        lacking.only(lacks),
        rows_read=int(table.integers("rows_read").sum()),
        copies=int(table.integers("copies").sum()),
    )


def rollup_columns(rows: RollupRows) -> list[Column]:
    """The rows as the table has them."""
    return [
        Column("campaign_id", "UInt64", rows.campaign_id),
        Column("day", "Date32", rows.day),
        Column("platform", _LABEL, rows.platform.tolist()),
        Column("region", _LABEL, rows.region.tolist()),
        Column("currency", _LABEL, rows.currency.tolist()),
        *(Column(name, "Int64", rows.sums[name]) for name in SUM_COLUMNS),
        Column("last_event_at", "DateTime64(6, 'UTC')", rows.last_event_us),
    ]


def _rows(table: Table, prefix: str) -> RollupRows:
    return RollupRows(
        campaign_id=table.integers("campaign_id"),
        day=table.integers("day"),
        platform=_objects(table.strings("platform")),
        region=_objects(table.strings("region")),
        currency=_objects(table.strings("currency")),
        sums={name: table.integers(f"{prefix}{name}") for name in SUM_COLUMNS},
        last_event_us=table.integers(f"{prefix}last_event_us"),
    )


def _objects(values: list[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)
