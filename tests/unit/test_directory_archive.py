"""The archive of a data directory: what it keeps, and what it does not let through."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.directory_archive import (
    Manifest,
    bytes_to_read,
    extract_archive,
    read_manifest,
    write_archive,
)
from campaignctl.errors import ConfigurationError, SchemaMismatch

SCHEMAS = {"metadata": 3, "analytics": 2}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    for name, content in {
        "metadata.sqlite": b"m" * 3_000_000,
        "event_log.sqlite": b"",
        "event_log.sqlite-shm": b"shared",
        "analytics/store/1/part.bin": os.urandom(1000),
        "secrets/jwt.key": b"key",
        "lock": b"{}",
        "server.json": b"{}",
        "campaignctl.log": b"line",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    (path / "analytics" / "data").mkdir()
    (path / "analytics" / "data" / "events").symlink_to("../store/1")
    return path


def archived(directory: Path) -> tuple[Path, Manifest]:
    file = directory.with_name("a.tar.gz")
    return file, write_archive(directory, file, program="1.0", made_at="2026-01-01T00:00:00Z", schemas=SCHEMAS)


def test_how_much_there_is_to_do_is_known_before_it_is_done(directory: Path, tmp_path: Path) -> None:
    expected, read, written = bytes_to_read(directory), [], []
    file = directory.with_name("a.tar.gz")
    manifest = write_archive(directory, file, program="1.0", made_at="", schemas=SCHEMAS, read=read.append)
    assert sum(read) == expected == 2 * manifest.file_bytes > 0
    target = tmp_path / "back"
    target.mkdir()
    extract_archive(file, manifest, target, written=written.append)
    assert sum(written) == manifest.file_bytes


def test_what_matters_comes_back_as_it_was_and_private(directory: Path, tmp_path: Path) -> None:
    file, manifest = archived(directory)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_manifest(file) == manifest
    assert (manifest.schemas, manifest.program) == (SCHEMAS, "1.0")
    target = tmp_path / "back"
    target.mkdir()
    extract_archive(file, manifest, target)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file() and not path.is_symlink()}
    assert found == {"metadata.sqlite", "event_log.sqlite", "analytics/store/1/part.bin", "secrets/jwt.key"}
    for name in found:
        assert (target / name).read_bytes() == (directory / name).read_bytes()
        assert (target / name).stat().st_mode & 0o777 == 0o600
    assert (target / "analytics" / "data" / "events" / "part.bin").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_file_that_is_there_is_not_replaced(directory: Path) -> None:
    archived(directory)
    with pytest.raises(ConfigurationError, match="there already"):
        archived(directory)


def test_a_directory_that_changes_meanwhile_gives_no_archive(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tarfile.TarFile.addfile

    def touched(tar: tarfile.TarFile, member: tarfile.TarInfo, source: Any = None) -> None:
        if member.name == "manifest.json":
            (directory / "secrets" / "jwt.key").write_bytes(b"yek")
        real(tar, member, source)

    monkeypatch.setattr(tarfile.TarFile, "addfile", touched)
    with pytest.raises(ConfigurationError, match="changed while"):
        archived(directory)
    assert [path.name for path in directory.parent.iterdir()] == ["data"]


def test_every_changed_byte_of_content_is_noticed(directory: Path, tmp_path: Path) -> None:
    file, manifest = archived(directory)
    bad = made(tmp_path, [_plain(entry) for entry in manifest.entries], b"other")
    with pytest.raises(ConfigurationError, match=r"checksum of metadata\.sqlite"):
        extract_archive(bad, read_manifest(bad), _empty(tmp_path))
    assert file.exists()


Plain = dict[str, Any]


def _plain(entry: Any) -> Plain:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def made(tmp_path: Path, entries: list[Plain], content: bytes = b"x", change: Callable[[Plain], Any] = dict) -> Path:
    """An archive by hand, every file of which has the content."""
    file = tmp_path / "hand.tar.gz"
    manifest = {"format": 1, "program": "1", "made_at": "", "schemas": {}, "entries": entries}
    change(manifest)
    kinds = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
    with tarfile.open(file, "w:gz") as tar:
        add(tar, "manifest.json", tarfile.REGTYPE, json.dumps(manifest).encode())
        for entry in entries:
            add(tar, entry["path"], kinds[entry["kind"]], content if entry["kind"] == "file" else b"", entry["target"])
    return file


def add(tar: tarfile.TarFile, name: str, kind: bytes, content: bytes, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(content), target
    tar.addfile(member, io.BytesIO(content))


def entry(path: str, kind: str = "file", target: str = "") -> Plain:
    digest = sha256(b"x").hexdigest() if kind == "file" else ""
    return {"path": path, "kind": kind, "size": 1 if kind == "file" else 0, "sha256": digest, "target": target}


def _empty(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    return target


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../escaped")],
        [entry("/tmp/escaped")],
        [entry("analytics", "directory"), entry("analytics/../../escaped")],
        [entry("other")],
        [entry("")],
        [entry("analytics/file")],
        [entry("analytics", "link", "..")],
        [entry("analytics", "link", "/etc")],
        [entry("analytics", "directory"), entry("analytics/up", "link", "../..")],
        [entry("analytics", "directory"), entry("analytics/keys", "link", "../secrets")],
        [
            entry("analytics", "directory"),
            entry("analytics/in", "link", "deep"),
            entry("analytics/in/file"),
        ],
    ],
)
def test_nothing_is_written_outside(entries: list[Plain], tmp_path: Path) -> None:
    file = made(tmp_path, entries)
    with pytest.raises(ConfigurationError, match="no data directory has"):
        extract_archive(file, read_manifest(file), _empty(tmp_path))
    assert not (tmp_path / "escaped").exists()


def test_only_what_the_manifest_lists(tmp_path: Path) -> None:
    listed = made(tmp_path, [entry("metadata.sqlite")])
    target = _empty(tmp_path)
    extract_archive(listed, read_manifest(listed), target)
    (target / "metadata.sqlite").unlink()
    short = made(tmp_path, [entry("metadata.sqlite")], change=lambda manifest: manifest.update(entries=[]))
    with pytest.raises(ConfigurationError, match="more than"):
        extract_archive(short, read_manifest(short), target)
    long = made(tmp_path, [], change=lambda manifest: manifest.update(entries=[entry("metadata.sqlite")]))
    with pytest.raises(ConfigurationError, match="not what its manifest"):
        extract_archive(long, read_manifest(long), target)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path, [], change=lambda manifest: manifest.update(format=2, novelty=1))
    with pytest.raises(SchemaMismatch, match="archive format 2"):
        read_manifest(file)
    file = made(tmp_path, [], change=lambda manifest: manifest.update(entries=7))
    with pytest.raises(ConfigurationError, match="manifest"):
        read_manifest(file)
