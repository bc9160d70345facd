"""Bugs put into a copy of the product, and the shortest test that must fail for each: ``make mutants``.

``python -m tests.mutants [NAME]...`` copies what is tested, changes one place, and runs that bug's one test over it. Exit
code 0 when every test fails, 1 when a bug goes unnoticed. Changed places that are no longer there end it with 2: then the
list has to follow the code. Bugs that only whole histories show are in ``tests.seeded_bugs``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_COPIED = ("campaignctl", "server", "worker", "sql", "tests", "pyproject.toml")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "deploy", "golden")
_FAILED = 1
"""pytest's exit code where a test failed; any other says that none has run."""


class OutdatedError(Exception):
    """The place to change is not there, or there more than once."""


@dataclass(frozen=True, slots=True)
class Bug:
    """``right`` becomes ``wrong`` in one place of the file; ``also`` has further places, where two guards stand."""

    what: str
    file: str
    right: str
    wrong: str
    test: str
    also: tuple[tuple[str, str], ...] = ()

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        return ((self.right, self.wrong), *self.also)


BUGS = {
    "commit_before_insert": Bug(
        "A batch is acknowledged before its rows are inserted.",
        "worker/partition.py",
        "self._commit(intent.start, intent.metadata())",
        'self._commit(intent.end, "")',
        "tests/unit/test_worker.py::TestCrashes::test_a_crash_at_any_step_loses_and_repeats_nothing[1-before_insert]",
    ),
    "no_token_on_retry": Bug(
        "A batch that is tried again has another token.",
        "worker/partition.py",
        "landing.append(prepared, token) if again else first()",
        "landing.append(prepared, f'{token}-{uuid4()}') if again else first()",
        "tests/unit/test_worker.py::TestFailingStores::test_a_try_that_seemed_to_fail_is_repeated_under_its_token",
    ),
    "deduplication_off": Bug(
        "The window is not asked.",
        "campaignctl/services/deduplication.py",
        "near = (seen.times_ms != NEVER) & (events.times_ms - seen.times_ms <= self.window_ms)",
        "near = np.zeros(len(keys), dtype=np.bool_)",
        "tests/unit/test_ingestion.py::TestCopies::test_the_first_counts_and_a_copy_that_says_the_same_is_only_counted",
    ),
    "places_not_confirmed_are_new": Bug(
        "An event that is not where the memory of places says is taken for new.",
        "campaignctl/services/late_copies.py",
        "[key for key in keys if key not in confirmed]",
        "[key for key, place in zip(keys, places, strict=True) if place is None]",
        "tests/unit/test_late_copies.py::TestWhatItCannotDo::test_loss_and_lies_change_no_verdict[0]",
    ),
    "no_tenant_filter": Bug(
        "Insights answer another organization's campaign.",
        "campaignctl/services/insights.py",
        "if one not in facts or not actor.sees(facts[one].organization_id):",
        "if one not in facts:",
        "tests/unit/test_insights.py::test_campaigns_of_others_are_not_there",
    ),
    "any_algorithm": Bug(
        "A token says itself how it is signed, or that it is not.",
        "campaignctl/services/tokens.py",
        'options={"verify_exp": False,',
        'options={"verify_signature": jwt.get_unverified_header(token)["alg"] != "none", "verify_exp": False,',
        "tests/unit/test_access.py::test_a_forged_token_gets_the_same_answer_as_any_other[alg none]",
        also=((" or not token.startswith(self._header)", ""),),  # either guard refuses it alone
    ),
    "leeway_of_a_day": Bug(
        "Tokens of tomorrow hold today.",
        "campaignctl/services/tokens.py",
        "LEEWAY_S = 30",
        "LEEWAY_S = 86_400",
        "tests/unit/test_access.py::test_a_forged_token_gets_the_same_answer_as_any_other[nbf in the future]",
    ),
    "cache_key_without_tenant": Bug(
        "Cached answers are found without saying whose campaigns they are of.",
        "campaignctl/services/insights.py",
        "return cache_key(asked, scope.versions(scope.rates_version))",
        "return cache_key(f'{query.granularity} {query.group_by} {asked[:0]}', [[scope.rates_version]])",
        "tests/unit/test_insights.py::test_no_organization_gets_the_answer_of_another",
    ),
    "old_versions_kept": Bug(
        "Versions of campaigns are kept for as long as somebody asks, whatever their age.",
        "campaignctl/adapters/metadata/kept_facts.py",
        "return entry.facts if self.now_s() - entry.as_of_s <= KEPT_S else None",
        "return entry.facts",
        "tests/unit/test_kept_facts.py::test_what_was_read_is_given_for_half_a_second_from_before_it_was_read",
    ),
    "no_fencing": Bug(
        "A commit is written whoever owns the partition by now.",
        "sql/event_log/queries.sql",
        "  AND owner = :owner AND epoch = :epoch\n",
        "  AND :owner = :owner AND :epoch = :epoch\n",
        "tests/contracts/test_event_log.py::TestEventLog::test_a_silent_member_is_fenced_and_comes_back",
    ),
    "dead_letters_dropped": Bug(
        "Refused records are nowhere.",
        "campaignctl/services/landing.py",
        "self._event_log.produce(self._dead_letter_topic, records)",
        "del records",
        "tests/unit/test_worker.py::test_dead_letters_hold_the_original_bytes_and_where_they_lay",
    ),
    "utc_day": Bug(
        "Events fall on days of UTC.",
        "campaignctl/domain/local_days.py",
        'if zone != "UTC" and times_s.size:',
        "if False:",
        "tests/unit/test_ingestion.py::TestRows::test_touched_days_are_each_campaigns_local_days",
    ),
    "erased_events_counted": Bug(
        "Records of erased events count as any other.",
        "campaignctl/services/ingestion.py",
        "columns, campaigns = self._drop_erased(columns, campaigns, counts)",
        "pass",
        "tests/unit/test_ingestion.py::TestCampaigns::test_an_erased_event_leaves_nothing_however_it_comes",
    ),
}


def noticed(bug: Bug, copy: Path) -> tuple[bool, str]:
    """Whether the bug's test fails over the changed copy, and what it said; the copy is put right again."""
    changed = copy / bug.file
    text = changed.read_text(encoding="utf-8")
    spoilt = text
    for right, wrong in bug.changes:
        if text.count(right) != 1:
            raise OutdatedError(f"{bug.file} has this {text.count(right)} times: {right}")
        spoilt = spoilt.replace(right, wrong)
    changed.write_text(spoilt, encoding="utf-8")
    try:
        ran = _run(bug.test, copy)
    finally:
        changed.write_text(text, encoding="utf-8")
    return ran.returncode == _FAILED, ran.stdout + ran.stderr


def _run(test: str, copy: Path) -> subprocess.CompletedProcess[str]:
    """One test over the copy: its directory comes before the installed packages, and nothing compiled is kept."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "addopts=", test]
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=240, check=False)


def copied(to: Path) -> Path:
    for name in _COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, to / name, symlinks=True, ignore=_LEFT_OUT)  # campaignctl/sql is one
        else:
            shutil.copy(source, to / name)
    return to


def _in_a_copy(bug: Bug, copy: Path) -> tuple[bool, str]:
    copy.mkdir()
    return noticed(bug, copied(copy))


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BUGS]
    if unknown:
        sys.stderr.write(f"no such bug: {', '.join(unknown)}; there are {', '.join(BUGS)}\n")
        return 2
    unnoticed = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory, ThreadPoolExecutor(os.cpu_count()) as pool:
        tried = {name: pool.submit(_in_a_copy, BUGS[name], Path(directory, name)) for name in names or BUGS}
        for name, trial in tried.items():
            try:
                found, said = trial.result()
            except OutdatedError as error:
                sys.stderr.write(f"{name}: {error}\n")
                pool.shutdown(cancel_futures=True)
                return 2
            sys.stdout.write(f"{'caught   ' if found else 'UNNOTICED'} {name}: {BUGS[name].what}\n")
            sys.stdout.flush()
            if not found:
                unnoticed.append(name)
                sys.stderr.write(said)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
