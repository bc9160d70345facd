"""A data directory in one file: a gzipped tar whose first member, ``manifest.json``, lists and checks all others.

All stores are copied at one instant, while nobody has them open, as ``kill -9`` would have left them: the log with the
plans of batches under way, the rows, and the engine's list of blocks it has had. So a restored directory goes on as one
does after a crash. An archive of rows alone would forget which blocks were inserted, and count them twice.

It holds the made keys and password hashes, hence 0600. What is read is not trusted: nothing is written that the
manifest does not list in that place, nothing outside of the directory, and nothing is kept whose checksum differs.
"""

import errno
import gzip
import hashlib
import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import msgspec

from campaignctl.adapters.private_files import sync_directory
from campaignctl.errors import CampaignctlError, ConfigurationError, SchemaMismatch, StorageFull

FORMAT = 1
_MANIFEST = "manifest.json"
_MANIFEST_MAX_BYTES = 64 * 1024 * 1024
_STORES = (
    "metadata.sqlite",
    "metadata.sqlite-wal",
    "event_log.sqlite",
    "event_log.sqlite-wal",
    "analytics",
    "secrets",
)
"""What is kept of a data directory. Locks, the server's address, the log file and SQLite's shared memory are not."""
_CHUNK_BYTES = 1024 * 1024
_LEVEL = 3  # the analytics parts, which are most of it, are compressed already
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member of the archive."""

    path: str
    kind: Literal["directory", "file", "link"]
    size: int = 0
    """Bytes of a file."""
    sha256: str = ""
    """Of a file, hexadecimal."""
    target: str = ""
    """Of a link."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    program: str
    """Version of the campaignctl that made it."""
    made_at: str
    schemas: dict[str, int]
    """Per store, the newest migration it has had."""
    entries: list[Entry]

    @property
    def file_bytes(self) -> int:
        return sum(entry.size for entry in self.entries)


def bytes_to_read(directory: Path) -> int:
    """What ``write_archive`` will read of the directory, each file once for its checksum and once for the archive."""
    found = (directory / name for name in _STORES)
    files = (path for top in found for path in ([top] if top.is_file() else top.rglob("*")))
    return 2 * sum(path.lstat().st_size for path in files if path.is_file() and not path.is_symlink())


def write_archive(
    directory: Path,
    file: Path,
    *,
    program: str,
    made_at: str,
    schemas: dict[str, int],
    read: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Archive the directory, whose lock the caller holds and whose stores are closed; ``file`` must not be there.

    ``read`` is told of bytes as they are read (see ``bytes_to_read``).
    Whoever looks sees no file of that name or all of it. Raises ``ConfigurationError`` when the file is there or cannot
    be made, or when the directory changed meanwhile; ``StorageFull``.
    """
    if file.exists():
        raise ConfigurationError(f"{file} is there already", hint="name a new file: a backup replaces nothing")
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    with _file_errors(file):
        manifest = Manifest(FORMAT, program, made_at, schemas, list(_entries(directory, read)))
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as raw:
                with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=_LEVEL, format=tarfile.PAX_FORMAT) as tar:
                    _add_all(tar, directory, manifest, read)
                raw.flush()
                os.fsync(descriptor)
            partial.rename(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(file.parent)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What the archive says of itself; raises ``ConfigurationError`` when it is none, or of a newer format."""
    with _opened(file) as tar:
        return _manifest(tar, file)


def extract_archive(
    file: Path, manifest: Manifest, directory: Path, *, written: Callable[[int], None] = lambda _: None
) -> None:
    """Write the archive's members into the directory, which is empty, each checked against the manifest; durably.

    ``written`` is told of bytes as they are written, of ``manifest.file_bytes`` in all.

    Raises ``ConfigurationError`` when the archive is cut off, damaged or not what its manifest says; what was written
    by then is the caller's to remove.
    """
    with _opened(file) as tar:
        if _manifest(tar, file) != manifest:
            raise _damaged(file, "it was replaced meanwhile")
        directories = {""}
        for entry in manifest.entries:
            _demand_safe(entry, directories, file)
            _extract(tar, entry, directory, file, written)
            if entry.kind == "directory":
                directories.add(entry.path)
        if tar.next() is not None:
            raise _damaged(file, "it holds more than its manifest lists")
        for path in directories:
            sync_directory(directory / path)


def _entries(directory: Path, read: Callable[[int], None]) -> Iterator[Entry]:
    for name in _STORES:
        if (directory / name).exists():
            yield from _entries_of(directory, name, read)


def _entries_of(directory: Path, name: str, read: Callable[[int], None]) -> Iterator[Entry]:
    path = directory / name
    if path.is_symlink():
        yield Entry(name, "link", target=str(path.readlink()))
    elif path.is_dir():
        yield Entry(name, "directory")
        for inner in sorted(path.iterdir()):
            yield from _entries_of(directory, f"{name}/{inner.name}", read)
    else:
        with path.open("rb") as source:
            size, digest = _copy(source, lambda data: read(len(data)))
        yield Entry(name, "file", size, digest)


def _add_all(tar: tarfile.TarFile, directory: Path, manifest: Manifest, read: Callable[[int], None]) -> None:
    listed = msgspec.json.encode(manifest)
    head = _member(_MANIFEST, tarfile.REGTYPE)
    head.size = len(listed)
    tar.addfile(head, io.BytesIO(listed))
    for entry in manifest.entries:
        match entry.kind:
            case "directory":
                tar.addfile(_member(entry.path, tarfile.DIRTYPE))
            case "link":
                member = _member(entry.path, tarfile.SYMTYPE)
                member.linkname = entry.target
                tar.addfile(member)
            case "file":
                member = _member(entry.path, tarfile.REGTYPE)
                member.size = entry.size
                with (directory / entry.path).open("rb") as source:
                    _add_unchanged(tar, member, source, entry, read)


def _add_unchanged(
    tar: tarfile.TarFile, member: tarfile.TarInfo, source: IO[bytes], entry: Entry, read: Callable[[int], None]
) -> None:
    hashing = _Hashing(source, read)
    if os.fstat(source.fileno()).st_size == entry.size:
        tar.addfile(member, hashing)
    if hashing.digest() != entry.sha256:
        raise ConfigurationError(
            f"{entry.path} changed while it was archived",
            hint="see that no other program writes into the data directory, then try again",
            code="directory_changed",
        )


class _Hashing(io.RawIOBase):
    """Reads of the source, hashed as they pass."""

    def __init__(self, source: IO[bytes], told: Callable[[int], None]) -> None:
        self._source, self._told = source, told
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self._told(len(data))
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def _member(path: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type = kind
    member.mode = _PRIVATE_DIRECTORY if kind == tarfile.DIRTYPE else _PRIVATE_FILE
    return member


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    member = tar.next()
    if member is None or member.name != _MANIFEST or not member.isreg() or member.size > _MANIFEST_MAX_BYTES:
        raise ConfigurationError(
            f"{file} is no backup made by campaignctl", hint="name one made by: campaignctl backup"
        )
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101  a regular file, asked above
    text = source.read()
    try:
        version = msgspec.json.decode(text)["format"]
        if version != FORMAT:
            raise SchemaMismatch(
                f"{file} has the archive format {version}; this program knows {FORMAT}",
                hint="restore it with the campaignctl that made it, or a newer one",
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        raise _damaged(file, "its manifest cannot be read") from None


def _demand_safe(entry: Entry, directories: set[str], file: Path) -> None:
    """Refuse what is none of the stores, lies in no directory listed before, or links out of its store."""
    path = PurePosixPath(entry.path)
    root = path.parts[0] if path.parts else ""
    # No member lies below a link, for links are no directories: so a link's target is where its text says.
    parent = "" if len(path.parts) == 1 else str(path.parent)
    is_safe = root in _STORES and str(path) == entry.path and ".." not in path.parts and parent in directories
    if entry.kind == "link":
        target = posixpath.normpath(posixpath.join(parent, entry.target))
        is_safe = is_safe and PurePosixPath(target).parts[0] == root and "\0" not in target
    if not is_safe or "\0" in entry.path:
        raise _damaged(file, "it holds a path that no data directory has")


def _extract(tar: tarfile.TarFile, entry: Entry, directory: Path, file: Path, written: Callable[[int], None]) -> None:
    member = tar.next()
    kinds = {"directory": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE}
    if member is None or member.name != entry.path or member.type != kinds[entry.kind]:
        raise _damaged(file, "it is not what its manifest lists")
    path = directory / entry.path
    if entry.kind == "directory":
        path.mkdir(mode=_PRIVATE_DIRECTORY)
    elif entry.kind == "link":
        path.symlink_to(entry.target)
    else:
        source = tar.extractfile(member)
        assert source is not None  # noqa: S101  a regular file, asked above
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as copy:

            def write(data: bytes) -> None:
                copy.write(data)
                written(len(data))

            found = _copy(source, write) if member.size == entry.size else None
            copy.flush()
            os.fsync(descriptor)
        if found != (entry.size, entry.sha256):
            raise _damaged(file, f"the checksum of {entry.path} differs")


def _copy(source: IO[bytes], write: Callable[[bytes], object]) -> tuple[int, str]:
    """Hand all of the source on; answers its size and checksum."""
    size, digest = 0, hashlib.sha256()
    while data := source.read(_CHUNK_BYTES):
        size += len(data)
        digest.update(data)
        write(data)
    return size, digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    with _file_errors(file):
        try:
            with tarfile.open(file, mode="r:gz") as tar:
                yield tar
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise _damaged(file, "it is cut off, or no gzipped tar") from error


def _damaged(file: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file} cannot be restored: {reason}",
        hint="take another backup, or copy this one again from where it was kept",
        code="backup_damaged",
    )


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _own_error(error, file) from error


def _own_error(error: OSError, file: Path) -> CampaignctlError:
    if isinstance(error, gzip.BadGzipFile):
        return _damaged(file, "it is cut off, or no gzipped tar")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"there is no room for {error.filename or file}", service="metadata", hint="free space on that disk"
        )
    return ConfigurationError(
        f"{error.filename or file} cannot be read or written: {error.strerror}",
        hint="check the path and its permissions",
    )
