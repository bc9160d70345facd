"""Which native campaigns the rows of an answer are about, and what fetches covered of them."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaignctl.adapters.analytics.native import Labels, Table
from campaignctl.domain.periods import day_number
from campaignctl.domain.reports import Breakdown
from campaignctl.ports.reports import I64, NEVER, AccountKey, NativeCampaign

NOT_ASKED = -1
"""In place of a native campaign: one that was not asked, though each of its names was."""
WHOLE_ACCOUNT = -2
"""In place of a native campaign: all of the account and level."""


class Places:
    """The places of native campaigns, and of their accounts at a level, in a question."""

    def __init__(self, natives: Sequence[NativeCampaign]) -> None:
        self._natives = {(native.account, native.level, native.native_id): n for n, native in enumerate(natives)}
        self._accounts: dict[tuple[AccountKey, str], int] = {}
        self.account: I64 = np.array(
            [self._accounts.setdefault((one.account, one.level), len(self._accounts)) for one in natives], np.int64
        )
        """Of each native campaign the place of its account."""

    def __len__(self) -> int:
        return len(self._natives)

    @property
    def accounts(self) -> int:
        return len(self._accounts)

    def of(self, table: Table) -> I64:
        """Of each row the place of its native campaign, or ``NOT_ASKED``, or ``WHOLE_ACCOUNT``."""
        return self._looked_up(table, with_native=True)

    def accounts_of(self, table: Table) -> I64:
        """Of each row the place of its account and level, or ``NOT_ASKED``."""
        return self._looked_up(table, with_native=False)

    def members(self, account: int) -> Sequence[int]:
        """The places of the native campaigns of one account and level."""
        return self._members[account] if account != NOT_ASKED else ()

    @cached_property
    def _members(self) -> list[list[int]]:
        members: list[list[int]] = [[] for _ in self._accounts]
        for place, account in enumerate(self.account.tolist()):
            members[account].append(place)
        return members

    def _looked_up(self, table: Table, *, with_native: bool) -> I64:
        """One look-up for each combination of names that there is, however many rows have it."""
        organizations, codes = np.unique(table.integers("organization"), return_inverse=True)
        names: list[list[int] | list[str]] = [organizations.tolist()]
        for column in ("platform", "account", "level", "native")[: 4 if with_native else 3]:
            labels: Labels = table.labels(column)
            names.append(labels.names)
            codes = codes * len(labels.names) + labels.codes
        distinct, which = np.unique(codes, return_inverse=True)
        found = [self._find(*_names_at(code, names)) for code in distinct.tolist()]
        places: I64 = np.array(found, np.int64)[which]
        return places

    def _find(self, organization: int, platform: str, account_id: str, level: str, native: str | None = None) -> int:
        account = AccountKey(organization, platform, account_id)
        if native is None:
            return self._accounts.get((account, level), NOT_ASKED)
        return WHOLE_ACCOUNT if not native else self._natives.get((account, level, native), NOT_ASKED)


def _names_at(code: int, names: Sequence[Sequence[int] | Sequence[str]]) -> list[Any]:
    """The names of which a combined code was made."""
    found: list[Any] = []
    for column in reversed(names):
        code, place = divmod(code, len(column))
        found.append(column[place])
    return found[::-1]


class Fetches:
    """What was covered and seen of native campaigns: told window by window, asked by native campaign and day."""

    def __init__(self, places: Places, first: date, days: int) -> None:
        self._places = places
        self._first, self._days = day_number(first), days
        self._tables: list[Table] = []
        self.ever_seen: NDArray[np.bool_] = np.zeros(len(places), np.bool_)

    def add(self, coverage: Table) -> None:
        self._tables.append(coverage)

    def see(self, natives: I64) -> None:
        self.ever_seen[natives[natives >= 0]] = True

    def covered_us(self, breakdown: Breakdown) -> I64:
        """When each native campaign and day was covered last in the breakdown."""
        windows = self._windows
        of_accounts = np.full((self._places.accounts, self._days), NEVER, np.int64)
        of_natives = np.full((len(self._places), self._days), NEVER, np.int64)
        for window in windows.by_time:
            if windows.breakdown[window] == breakdown:
                native, account = windows.native[window], windows.account[window]
                days = slice(*np.clip(windows.days[window] - self._first, 0, self._days))
                if native >= 0:
                    of_natives[native, days] = windows.at_us[window]
                elif native == WHOLE_ACCOUNT and account >= 0:
                    of_accounts[account, days] = windows.at_us[window]
        return np.maximum(of_natives, of_accounts[self._places.account])

    def last(self) -> tuple[I64, list[str]]:
        """When each native campaign was covered last, whatever the days, and its account's zone then."""
        windows = self._windows
        of_accounts = np.full(self._places.accounts, -1, np.int64)
        of_natives = np.full(len(self._places), -1, np.int64)
        for window in windows.by_time:
            native, account = windows.native[window], windows.account[window]
            if native >= 0:
                of_natives[native] = window
            elif native == WHOLE_ACCOUNT and account >= 0:
                of_accounts[account] = window
        at_us = np.append(windows.at_us, NEVER)  # what -1 finds
        by_account = of_accounts[self._places.account]
        newest = np.where(at_us[by_account] >= at_us[of_natives], by_account, of_natives)
        zones = [*windows.zone, ""]
        return at_us[newest], [zones[window] for window in newest.tolist()]

    @cached_property
    def _windows(self) -> "_Windows":
        return _Windows(Table.joined(self._tables), self._places)


class _Windows:
    """Windows of days that were covered, column by column."""

    def __init__(self, table: Table, places: Places) -> None:
        self.native, self.account = places.of(table), places.accounts_of(table)
        self.breakdown = table.strings("breakdown")
        self.days = np.stack([table.integers("from_day"), table.integers("to_day") + 1], axis=1)
        self.at_us = table.integers("at_us")
        self.zone = table.strings("zone")
        self.by_time: list[int] = np.argsort(self.at_us, kind="stable").tolist()
