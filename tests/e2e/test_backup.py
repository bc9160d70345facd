"""``backup`` and ``restore`` of a data directory: nothing lost, nothing doubled, nothing replaced unasked."""

import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

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


def test_what_was_erased_stays_erased_or_is_told(cli: Cli) -> None:
    started(cli, 10)
    cli.run("backup", "before.tar.gz")
    cli.run("campaigns", "delete", "1", "--yes", "--wait")
    cli.run("backup", "after.tar.gz")
    cli.run("restore", "after.tar.gz", "--data-dir", "elsewhere")
    restored = at(cli, "elsewhere")
    restored.run("insights", "--campaign", "1", *DAYS, code=5)
    sent, _ = restored.run("events", "send", "-", "-o", "json", code=6, stdin=lines(0, 10))
    assert json.loads(sent)["rejected"] == {"unknown_campaign": 10}
    done, said = cli.run("restore", "before.tar.gz", "--yes", "-o", "json")
    assert json.loads(done)["erased_since"] == [1]
    assert "warning[erased_since]" in said


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
