"""``backup`` and ``restore`` of a data directory: nothing lost, nothing doubled, nothing replaced unasked."""

import json
import sqlite3
import tarfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.cli.erasures_again import erase_again
from campaignctl.domain.campaigns import CampaignDraft
from campaignctl.domain.erased_events import event_digest
from campaignctl.services.schema import SchemaService
from tests.e2e.test_cli_embedded import DAYS, Cli, event

ARCHIVE = "kept.tar.gz"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def lines(first: int, end: int) -> bytes:
    return b"\n".join(event(number) for number in range(first, end))


def at(cli: Cli, directory: str) -> Cli:
    """The same home with another data directory."""
    other = Cli(cli.home)
    other.environ = cli.environ | {"CA_DATA_DIR": directory}
    return other


def totals(cli: Cli) -> tuple[int, Decimal]:
    found = json.loads(cli.run("insights", "--campaign", "1", *DAYS, "-o", "json")[0], parse_float=Decimal)["totals"]
    return found["clicks"], Decimal(found["spend"])


def started(cli: Cli, events: int = 0) -> None:
    cli.run("init-schema")
    cli.run("campaigns", "create", "--name", "Spring")
    if events:
        cli.run("events", "send", "-", "--wait", stdin=lines(0, events))


def test_a_restored_directory_loses_and_doubles_nothing(cli: Cli) -> None:
    started(cli, 300)
    made = cli.json("backup", ARCHIVE)
    assert (cli.home / ARCHIVE).stat().st_mode & 0o777 == 0o600
    assert made["schemas"]["metadata"] > 0
    assert made["schemas"]["analytics"] > 0
    cli.run("events", "send", "-", "--wait", stdin=lines(300, 500))
    assert totals(cli) == (500, Decimal("50.0"))

    done = cli.json("restore", ARCHIVE, "--data-dir", "elsewhere")
    assert (done["pending"], done["moved_aside_to"]) == ([], None)
    restored = at(cli, "elsewhere")
    assert totals(restored) == (300, Decimal("30.0"))
    restored.run("events", "send", "-", "--wait", stdin=lines(0, 500))
    assert totals(restored) == (500, Decimal("50.0"))
    restored.run("verify")
    assert totals(cli) == (500, Decimal("50.0"))  # the first directory goes its own way
    keys = [(cli.home / home / "secrets" / "jwt.key") for home in (".campaignctl", "elsewhere")]
    assert keys[0].read_text() == keys[1].read_text()
    assert keys[1].stat().st_mode & 0o777 == 0o600


def test_a_backup_after_kill_9_goes_on_where_the_crash_left_off(cli: Cli) -> None:
    started(cli)
    with cli.serving() as server:
        cli.run("events", "send", "-", stdin=lines(0, 5000))
        server.kill()  # batches may be planned, inserted or committed
        server.wait(timeout=30)
        cli.run("backup", ARCHIVE)
    for name in ("one", "two"):
        cli.run("restore", ARCHIVE, "--data-dir", name)
        restored = at(cli, name)
        restored.run("events", "send", "-", "--wait", stdin=lines(0, 5100))
        assert totals(restored) == (5100, Decimal("510.0"))


def test_a_directory_is_replaced_only_when_asked_to_and_is_kept(cli: Cli) -> None:
    started(cli, 10)
    cli.run("backup", ARCHIVE)
    cli.run("backup", ARCHIVE, code=2)  # replaces nothing
    cli.run("campaigns", "create", "--name", "Later")
    _, said = cli.run("restore", ARCHIVE, code=3)
    assert "is not empty" in said
    assert "add --yes" in said
    planned = cli.json("restore", ARCHIVE, "--dry-run")
    assert planned["dry_run"] is True
    assert len(cli.json("campaigns", "list")["items"]) == 2
    done = cli.json("restore", ARCHIVE, "--yes")
    assert len(cli.json("campaigns", "list")["items"]) == 1
    assert len(at(cli, done["moved_aside_to"]).json("campaigns", "list")["items"]) == 2


def test_what_was_erased_stays_erased(cli: Cli) -> None:
    started(cli, 10)
    cli.run("campaigns", "create", "--name", "Autumn")
    cli.run("events", "send", "-", "--wait", "--as", "2", stdin=lines(0, 10))
    cli.run("backup", "before.tar.gz")
    erased = json.loads(event(3))["event_id"]
    cli.run("events", "erase", "--campaign", "2", "--event-id", erased, "--yes")
    cli.run("campaigns", "delete", "1", "--yes", "--wait")
    cli.run("backup", "after.tar.gz")
    cli.run("restore", "after.tar.gz", "--data-dir", "elsewhere")
    restored = at(cli, "elsewhere")
    restored.run("insights", "--campaign", "1", *DAYS, code=5)
    sent, _ = restored.run("events", "send", "-", "-o", "json", code=6, stdin=lines(0, 10))
    assert json.loads(sent)["rejected"] == {"unknown_campaign": 10}
    done, said = cli.run("restore", "before.tar.gz", "--yes", "-o", "json")
    body = json.loads(done)
    assert (body["erased_again"], body["erased_events_again"], body["erased_since"]) == ([1], 1, [])
    assert "erased again" in said
    cli.run("insights", "--campaign", "1", *DAYS, code=5)
    cli.run("events", "send", "-", "--wait", "--as", "2", stdin=lines(0, 10))  # a worker runs
    for job in cli.json("jobs", "list")["items"]:
        assert cli.json("jobs", "wait", str(job["job_id"]))["status"] == "succeeded"
    found = json.loads(cli.run("insights", "--campaign", "2", *DAYS, "-o", "json")[0])["totals"]
    assert found["clicks"] == 9
    cli.run("verify")


def metadata(directory: Path, *campaigns: str) -> SQLiteMetadata:
    directory.mkdir(exist_ok=True)
    opened = SQLiteMetadata(directory / "metadata.sqlite", SystemClock())
    SchemaService([opened]).apply(5)
    if campaigns:
        organization = opened.ensure_organization("Ads")
        for name in campaigns:
            opened.add_campaign(organization, CampaignDraft(name=name))
    return opened


def copied(directory: Path, to: Path) -> Path:
    to.mkdir()
    with closing(sqlite3.connect(directory / "metadata.sqlite")) as whole:
        whole.execute("VACUUM INTO ?", (str(to / "metadata.sqlite"),))
    return to


def test_what_is_erased_again_is_of_the_same_installation(tmp_path: Path) -> None:
    with closing(metadata(tmp_path / "here", "Spring", "Autumn")) as here:
        kept, older = (copied(tmp_path / "here", tmp_path / name) for name in ("kept", "older"))
        with closing(sqlite3.connect(older / "metadata.sqlite")) as made_older:
            made_older.execute("DROP TABLE event_erasures")
        with closing(sqlite3.connect(kept / "metadata.sqlite")) as without_lanes:
            without_lanes.execute("DROP TABLE job_lanes")
        here.erase_campaign(1, None)
        here.erase_events(2, [event_digest(2, "a"), event_digest(2, "b")], "", None)
    with closing(metadata(tmp_path / "elsewhere", "Spring", "Autumn")) as elsewhere:
        elsewhere.erase_campaign(2, None)
    places = [tmp_path / "none", tmp_path / "elsewhere", tmp_path / "here"]
    nothing = {"erased_again": [], "erased_events_again": 0, "erased_since": []}
    assert erase_again(places[:2], kept) == nothing
    assert erase_again(places, older) == nothing | {"erased_since": [1]}
    assert erase_again(places, kept) == nothing | {"erased_again": [1], "erased_events_again": 2}
    assert erase_again(places, kept) == nothing
    with closing(metadata(kept)) as restored:
        assert restored.campaign_ids(None) == [2]
        assert restored.erasing() == {1, 2}


def test_an_open_directory_is_left_alone(cli: Cli) -> None:
    started(cli)
    cli.run("backup", ARCHIVE)
    with cli.serving():
        for command in (("backup", "other.tar.gz"), ("restore", ARCHIVE, "--yes")):
            _, said = cli.run(*command, code=7)
            assert "in use by the server at" in said
    assert not (cli.home / "other.tar.gz").exists()
    assert len(list(cli.home.glob(".campaignctl*"))) == 1


def test_what_is_not_an_archive_of_this_program_is_refused_and_leaves_nothing(cli: Cli) -> None:
    started(cli)
    cli.run("backup", ARCHIVE)
    whole = (cli.home / ARCHIVE).read_bytes()
    bad = cli.home / "bad.tar.gz"
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:40]):
        bad.write_bytes(content)
        _, said = cli.run("restore", str(bad), "--data-dir", "elsewhere", code=2)
        assert "error[" in said
    rewritten(cli.home / ARCHIVE, bad, lambda manifest: manifest["schemas"].update(metadata=999))
    _, said = cli.run("restore", str(bad), "--data-dir", "elsewhere", code=2)
    assert "newer campaignctl" in said
    rewritten(cli.home / ARCHIVE, bad, lambda manifest: manifest["schemas"].update(analytics=1))
    cli.run("restore", str(bad), "--data-dir", "elsewhere", code=2)
    cli.run("restore", "nowhere.tar.gz", code=2)
    assert not list(cli.home.glob(".elsewhere*"))
    assert not [path for path in (cli.home / "elsewhere").glob("*") if path.name != "lock"]


def test_servers_are_backed_up_by_their_own_tools(cli: Cli) -> None:
    cli.environ |= {"CA_CLICKHOUSE_HOST": "127.0.0.1"}
    for command in (("backup", ARCHIVE), ("restore", ARCHIVE)):
        _, said = cli.run(*command, code=2)
        assert "clickhouse.host" in said


def rewritten(source: Path, target: Path, change: Any) -> None:
    """The archive with another manifest."""
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            content = old.extractfile(member) if member.isreg() else None
            if member.name == "manifest.json":
                assert content is not None
                manifest = json.load(content)
                change(manifest)
                text = target.with_name("manifest.json")
                text.write_text(json.dumps(manifest))
                new.add(text, "manifest.json")
            else:
                new.addfile(member, content)
