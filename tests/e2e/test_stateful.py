"""Whatever people do and whatever happens, in whichever order: what is answered is what ``tests.model.stateful`` says.

``CA_TEST_STATEFUL_RUNS=2000 pytest tests/e2e/test_stateful.py`` is the long form, of other interleavings each time; a
difference is printed with the steps that led to it.
"""

import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from campaignctl.errors import NotFound
from tests.model.stateful import Event, Reference
from tests.support.mounts import in_memory
from tests.support.stateful_world import Failpoint, KilledError, World
from worker.batching import FlushPolicy

RUNS = int(os.environ.get("CA_TEST_STATEFUL_RUNS", "12"))
STEPS = 15
_QUICK_RUNS = 25
"""Up to here the same interleavings every time."""
_RUNS_OF_ONE_WORLD = 8
"""The more months there are rows of, the more parts every question opens: twice the time after a dozen."""
_MOST_CAMPAIGNS = 3
_ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
_IN_BATCHES = ("after_poll", "after_intent", "before_insert", "after_insert", "before_commit", "after_commit")
_IN_COMMANDS = (
    *("before_command", "before_reaggregation_insert", "after_reaggregation_insert", "before_reaggregation_finish"),
)
_AGES_H = (0, 5, 13, 30)
_SPANS = (timedelta(minutes=1), timedelta(days=2.5), timedelta(days=8))

Drawn = tuple[str, int, str, int, int]
events: st.SearchStrategy[Drawn] = st.tuples(
    st.sampled_from("abcd"),
    st.sampled_from(_AGES_H),
    st.sampled_from(("IN", "US-CA", "ZZ", "IN", "NOWHERE")),
    st.integers(0, 3),
    st.sampled_from((0, 1, 999_999, 123_456_789)),
)
batches = st.lists(events, min_size=1, max_size=4)
policies = st.builds(lambda rows: FlushPolicy(rows=rows, age_s=0.0, pause_s=0.0), st.sampled_from((1, 2, 1000)))
which = st.integers(0, 10)


def killed_at(point: str, times: int) -> Failpoint:
    """The end of the process when it comes to the point for the so manieth time."""
    left = times

    def reached(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            raise KilledError(name)

    return reached


def step(act: Callable[..., None]) -> Callable[..., None]:
    """Of a run that fails, say what led to it: repeated in another world, it may take another course."""

    @wraps(act)
    def taken(machine: "Machine", **given: Any) -> None:
        machine.taken.append(f"{act.__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})")
        try:
            act(machine, **given)
        except Exception as error:
            sys.stderr.write("\n".join(["", *machine.taken, *traceback.format_exception(error)]))
            raise

    return taken


class Machine(RuleBasedStateMachine):
    """One world serves many runs, each with campaigns of its own."""

    new_world: ClassVar[Callable[[], World]]
    world: ClassVar[World | None] = None
    runs_left: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        cls = type(self)
        if cls.world is None or cls.runs_left == 0:
            cls.close_world()
            cls.world, cls.runs_left = cls.new_world(), _RUNS_OF_ONE_WORLD
        cls.runs_left -= 1
        self.w = cls.world
        cls.world = None  # only a run that ends well hands it on: what went wrong in it stays there
        self.taken: list[str] = []
        self.model = Reference()
        self.began, self.first_ends = self.w.now, self.w.ends()
        self.erased: set[int] = set()
        self.has_set_aside = self.was_set_back = False

    @classmethod
    def close_world(cls) -> None:
        if cls.world is not None:
            cls.world.close()
            cls.world = None

    @initialize(zone=st.sampled_from(_ZONES))
    @step
    def begin(self, zone: str) -> None:
        self.create(zone=zone)

    @precondition(lambda self: len(self.model.zones) < _MOST_CAMPAIGNS)
    @rule(zone=st.sampled_from(_ZONES))
    @step
    def create(self, zone: str) -> None:
        self.model.create(self.w.create(zone), zone)

    @rule(batch=batches, n=which, by_http=st.booleans())
    @step
    def ingest(self, batch: list[Drawn], n: int, by_http: bool) -> None:
        if by_http:
            self.w.post(self._take(self._one(n), batch))
        else:
            self._produce(batch, n)

    @rule(batch=batches)
    @step
    def ingest_ahead(self, batch: list[Drawn]) -> None:
        """For the campaign that will be made next."""
        campaign, self.has_set_aside = self.w.newest_campaign + 1, True
        self.w.settle()
        self.w.produce(campaign, self._take(campaign, batch))
        self.w.settle()  # made before they are judged, it would be known to them

    @rule(batch=batches, n=which)
    @step
    def ingest_misplaced(self, batch: list[Drawn], n: int) -> None:
        """In a strange partition records count when they have come to their own, behind what is there by then."""
        campaign, self.has_set_aside = self._one(n), True
        self.w.settle()
        self.w.produce(campaign, self._take(campaign, batch), misplaced=True)
        self.w.settle()

    @rule(span=st.sampled_from(_SPANS))
    @step
    def let_pass(self, span: timedelta) -> None:
        self.w.let_pass(span)

    @rule(policy=policies)
    @step
    def work(self, policy: FlushPolicy) -> None:
        self.w.work(policy)

    @rule(batch=batches, n=which, policy=policies, point=st.sampled_from(_IN_BATCHES), times=st.integers(1, 3))
    @step
    def kill(self, batch: list[Drawn], n: int, policy: FlushPolicy, point: str, times: int) -> None:
        self._produce(batch, n)
        self.w.work(policy, killed_at(point, times))

    @rule(batch=batches, n=which, policy=policies, point=st.sampled_from(_IN_BATCHES))
    @step
    def freeze(self, batch: list[Drawn], n: int, policy: FlushPolicy, point: str) -> None:
        self._produce(batch, n)
        self.w.work_as_zombie(policy, point)

    @precondition(lambda self: not self.has_set_aside)
    @rule(back=st.floats(0, 1))
    @step
    def set_back(self, back: float) -> None:
        """The group applies again what it has applied. No record counts twice for it, but what it sets aside, behind
        the newest row, it sets aside again: nobody knows any more in which batches it was.
        """
        self.w.settle()
        self.was_set_back = True
        ends = self.w.ends()
        self.w.set_back({number: end - int((end - self.first_ends[number]) * back) for number, end in ends.items()})

    @rule(n=which, again=st.booleans(), point=st.sampled_from(_IN_BATCHES))
    @step
    def replay(self, n: int, again: bool, point: str) -> None:
        campaign = self._one(n)
        self.w.settle()
        self.w.accident = killed_at(point, 1)
        self.w.replay(campaign, again=again)
        self.model.replay(campaign, self.w.now, again=again)

    @rule(n=which, days=st.integers(0, 2), impressions=st.integers(-5, 5), point=st.sampled_from((*_IN_COMMANDS, "")))
    @step
    def spoil_and_reaggregate(self, n: int, days: int, impressions: int, point: str) -> None:
        campaign = self._one(n)
        self.w.settle()
        self.w.spoil(campaign, (self.began - timedelta(days=days)).date().isoformat(), impressions)
        self.w.accident = killed_at(point, 1)
        receipt = self.w.reaggregate(campaign)
        rows = len(self.model.counted[campaign])
        if not point:
            assert (receipt["rows_read"], receipt["after"]["events"]) == (rows, rows), receipt
        assert receipt["duplicates_collapsed"] == 0

    @rule(n=which, ids=st.sets(st.sampled_from("abcd"), min_size=1, max_size=2), point=st.sampled_from(_IN_BATCHES))
    @step
    def erase_events(self, n: int, ids: set[str], point: str) -> None:
        campaign = self._one(n)
        self.w.accident = killed_at(point, 1)
        self.w.erase_events(campaign, sorted(ids))
        self.model.erase_events(campaign, ids)

    @precondition(lambda self: len(self.model.zones) > 1)
    @rule(n=which)
    @step
    def erase(self, n: int) -> None:
        campaign = self._one(n)
        self.w.erase(campaign)
        self.model.erase(campaign)
        self.erased.add(campaign)

    @rule(n=which, zone=st.sampled_from(_ZONES))
    @step
    def query(self, n: int, zone: str) -> None:
        self.w.settle()
        self._compare(self._one(n), zone)

    @step
    def teardown(self) -> None:
        self.w.settle()
        if self.model.letters(self.w.newest_campaign + 1):  # they would be the next run's
            self.create(zone="UTC")
        for campaign, zone in self.model.zones.items():
            self._compare(campaign, zone)
        for campaign in self.erased:
            with pytest.raises(NotFound):
                self.w.days(campaign, "UTC")
        if type(self).runs_left == 0:
            assert self.w.verify() == []
        self.w.let_pass(timedelta(days=9))  # the next run's workers need not know this one's ids
        type(self).world = self.w

    def _produce(self, batch: list[Drawn], n: int) -> None:
        campaign = self._one(n)
        self.w.produce(campaign, self._take(campaign, batch))

    def _one(self, n: int) -> int:
        return sorted(self.model.zones)[n % len(self.model.zones)]

    def _take(self, campaign: int, batch: list[Drawn]) -> list[bytes]:
        """The model takes the events now; answers the records that say the same."""
        values = []
        for event_id, age_h, region, clicks, spend in batch:
            event = Event(event_id, self.began - timedelta(hours=age_h), region, clicks, spend)
            self.model.ingest(campaign, event, self.w.now)
            self.has_set_aside |= event.is_bad
            record = {"event_id": event_id, "campaign_id": campaign, "platform": "meta", "region": region}
            record |= {"event_time": event.instant.isoformat(), "impressions": 1, "clicks": clicks}
            values.append(json.dumps(record | {"spend": f"{spend / 1_000_000:.6f}"}).encode())
        return values

    def _compare(self, campaign: int, zone: str) -> None:
        model, pages = self.model, {"campaign_id": campaign, "limit": 200}
        for asked in (model.zones[campaign], zone):
            self._same(f"days in {asked}", self.w.days(campaign, asked), model.sums(campaign, asked))
        rows = self.w.ask(f"/campaigns/{campaign}/events", limit=1000)["items"]
        self._same("events", Counter(one["event_id"] for one in rows), model.exported(campaign))
        copies = self.w.ask("/conflicts", **pages)["items"]
        found, expected = Counter(one["event_id"] for one in copies), model.conflicts(campaign)
        assert expected <= found, f"conflicts: {found} instead of {expected}"
        if not self.was_set_back:
            self._same("conflicts", found, expected)
        letters = self.w.ask("/dead-letters", **pages)["items"]
        refused = Counter((json.loads(one["value"])["event_id"], one["code"]) for one in letters)
        self._same("dead letters", refused, model.letters(campaign))

    def _same(self, what: str, found: object, expected: object) -> None:
        assert found == expected, f"{what}: {found} instead of {expected}"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[type[Machine]]:
    with in_memory(tmp_path) as directory, ExitStack() as stack:

        def new_world() -> World:
            return World(Path(tempfile.mkdtemp(dir=directory)))

        Machine.new_world = staticmethod(new_world)  # type: ignore[assignment]
        stack.callback(Machine.close_world)
        yield Machine


@pytest.mark.timeout(300 if RUNS <= _QUICK_RUNS else 12 * 3_600)
def test_every_interleaving_ends_as_the_reference_says(machine: type[Machine]) -> None:
    is_long = RUNS > _QUICK_RUNS
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            derandomize=not is_long,
            database=None,
            phases=(Phase.generate,) if is_long else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    if machine.world is not None:
        assert machine.world.verify() == []
