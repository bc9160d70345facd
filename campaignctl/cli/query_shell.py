"""The interactive mode of ``campaignctl query``. The terminal library is imported by this module alone.

Prompts, notes and errors go to stderr, so that stdout has answers only.
"""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import create_output
from pygments.lexers.sql import SqlLexer

from campaignctl import __version__
from campaignctl.cli.failures import failure_of
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import PROGRAM, Invocation
from campaignctl.cli.output import Column, Kind, Output, Table, decode
from campaignctl.cli.query_run import Limits, Reach, ask, note_truncation, show
from campaignctl.cli.query_tables import TABLES
from campaignctl.cli.query_words import COMMANDS, FORMATS, Catalogue, ColumnOf, candidates
from campaignctl.domain.sql_text import Statement, all_statements, pointed_at, split_statements, spot_of
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput
from campaignctl.telemetry import one_line

if TYPE_CHECKING:
    from prompt_toolkit.document import Document
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output as Screen

_LEAVING = frozenset({"quit", "exit", "\\q"})
_HELPING = frozenset({"help", "\\?", "\\h"})
_HISTORY_BYTES = 1024 * 1024
_TABLES = """
SELECT name, engine, coalesce(total_rows, 0) AS rows FROM system.tables
WHERE database = currentDatabase() AND engine != 'MaterializedView' ORDER BY name
"""
_COLUMNS = "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
_FUNCTIONS = "SELECT name FROM system.functions ORDER BY name"
_KEYWORDS = "SELECT keyword FROM system.keywords ORDER BY keyword"
_CATALOGUE = Limits(max_rows=20_000, timeout_s=10.0)


def run_shell(
    invocation: Invocation, limits: Limits, *, source: "Input | None" = None, screen: "Screen | None" = None
) -> None:
    """Read statements and answer them until the person leaves. Raises what keeps the store from being reached."""
    with Reach(invocation, limits.timeout_s) as reach:
        shell = Shell(invocation, limits, reach)
        shell.learn()
        session: PromptSession[str] = PromptSession(
            history=kept_history(),
            completer=StoreCompleter(lambda: shell.catalogue),
            complete_while_typing=False,
            key_bindings=_keys(),
            lexer=PygmentsLexer(SqlLexer),
            multiline=True,
            prompt_continuation=lambda width, _line, _wrapped: "-> ".rjust(width),
            input=source,
            output=screen or create_output(stdout=sys.stderr),
        )
        shell.note(f"{PROGRAM} {__version__}, read-only; end a statement with ;  \\? shows the commands")
        prompt = f"{invocation.place().context or PROGRAM}=> "
        while not shell.left:
            try:
                text = session.prompt(prompt)
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            shell.take(text)


def is_whole(text: str) -> bool:
    """Whether Enter ends the input: a command, or statements of which the last has its semicolon."""
    word = text.strip()
    if not word or word.startswith("\\") or word.casefold() in _LEAVING | _HELPING:
        return True
    return not split_statements(text)[1]


@dataclass(slots=True)
class Shell:
    """What the person has set, and what a line of theirs does."""

    invocation: Invocation
    limits: Limits
    reach: Reach
    catalogue: Catalogue = field(default_factory=Catalogue)
    expanded: bool = False
    timing: bool = False
    left: bool = False
    style: Format | None = None

    @property
    def out(self) -> Output:
        return Output(self.style or self.invocation.format, quiet=self.invocation.quiet)

    def note(self, text: str) -> None:
        self.out.note(text)

    def learn(self) -> None:
        """Ask the store what there is to complete."""
        with self.reach.connection() as connection:
            columns = decode(ask(connection, _COLUMNS, _CATALOGUE))["rows"]
            functions = decode(ask(connection, _FUNCTIONS, _CATALOGUE))["rows"]
            try:
                keywords = [row[0] for row in decode(ask(connection, _KEYWORDS, _CATALOGUE))["rows"]]
            except InvalidInput:  # a server that does not list them yet
                keywords = list(Catalogue().keywords)
        tables: dict[str, list[ColumnOf]] = {}
        for table, name, type_ in columns:
            tables.setdefault(table, []).append(ColumnOf(name, type_))
        self.catalogue = Catalogue(tables, [row[0] for row in functions], keywords)

    def take(self, text: str) -> None:
        """Do what a whole input says. Nothing that is wrong with it ends the shell."""
        word = text.strip()
        try:
            if word.casefold() in _LEAVING:
                self.left = True
            elif word.casefold() in _HELPING:
                self._help()
            elif word.startswith("\\"):
                self._command(word)
            else:
                self._run(all_statements(text))
        except KeyboardInterrupt:
            sys.stderr.write("\ncancelled\n")
        except (CampaignctlError, OSError, UnicodeDecodeError) as error:
            self._tell(error)
        sys.stdout.flush()

    def _run(self, statements: Iterable[Statement]) -> None:
        """Each in order; the first that fails is the last."""
        for statement in statements:
            with self.reach.connection() as connection:
                began_s = time.perf_counter()
                try:
                    answer = ask(connection, statement.text, self.limits)
                except InvalidInput as error:
                    self._tell(error)
                    self._point_at(statement, error.message)
                    return
                took_s = time.perf_counter() - began_s
            out = self.out
            show(out, answer, expanded=self.expanded)
            sys.stdout.flush()
            rows = len(decode(answer)["rows"])
            if out.format is Format.TABLE and not (self.expanded and not rows):
                out.note(f"({rows:,} row{'' if rows == 1 else 's'})")
            note_truncation(out, answer, self.limits)
            if self.timing:
                out.note(f"time: {took_s * 1000:,.1f} ms")

    def _tell(self, error: Exception) -> None:
        sys.stdout.flush()
        sys.stderr.write(failure_of(error, self.invocation, ["query"]).as_text())

    def _point_at(self, statement: Statement, message: str) -> None:
        index = pointed_at(statement.text, message)
        if index is not None:
            spot = spot_of(statement.text, index)
            begin = f"line {spot.line}: "
            before = one_line(spot.text[: spot.column - 1].expandtabs(1))
            sys.stderr.write(f"{begin}{one_line(spot.text.expandtabs(1))}\n{' ' * (len(begin) + len(before))}^\n")

    def _command(self, line: str) -> None:
        try:
            name, *given = shlex.split(line.removeprefix("\\"))
        except ValueError as error:
            raise _refused(f"{line}: {str(error).lower()}") from error
        commands: dict[str, tuple[Callable[[list[str]], None], int]] = {
            "d": (self._describe, 1),
            "dt": (self._describe, 1),
            "i": (self._include, 1),
            "o": (self._form, 1),
            "set": (self._set, 2),
            "timing": (self._time, 1),
            "unset": (self._unset, 1),
            "x": (self._expand, 1),
        }
        if name not in commands:
            raise _refused(f"there is no command \\{name}; \\? shows all")
        act, most = commands[name]
        if len(given) > most:
            raise _refused(f"\\{name} takes {most} word{'' if most == 1 else 's'} at most")
        act(given)

    def _help(self) -> None:
        width = max(map(len, COMMANDS))
        for command, about in COMMANDS.items():
            self.out.text(f"  {command.ljust(width)}  {about}")
        self.out.text("  Ctrl-C gives a statement up, or stops the one that runs; TAB completes.")

    def _describe(self, given: list[str]) -> None:
        self.learn()
        if given:
            self._describe_one(given[0].strip('`"').rstrip(";"))
            return
        with self.reach.connection() as connection:
            found = decode(ask(connection, _TABLES, _CATALOGUE))["rows"]
        rows = [[name, count, TABLES[name].about if name in TABLES else ""] for name, _engine, count in found]
        self._table(Table([Column("table", Kind.ID), Column("rows", Kind.COUNT), Column("about", Kind.TEXT)], rows))

    def _describe_one(self, name: str) -> None:
        columns = self.catalogue.tables.get(name)
        if columns is None:
            raise _refused(f"there is no table {name!r}; \\dt shows all")
        meanings = TABLES[name].columns if name in TABLES else {}
        if name in TABLES:
            self.note(TABLES[name].about)
        rows = [[column.name, column.type, meanings.get(column.name, "")] for column in columns]
        self._table(Table([Column("column", Kind.ID), Column("type"), Column("about")], rows))

    def _table(self, table: Table) -> None:
        """What a command shows is for a person, whatever form answers have."""
        from campaignctl.cli.output import as_table

        text, _ = as_table(table, self.out.width, color=sys.stdout.isatty())
        sys.stdout.write(text)

    def _include(self, given: list[str]) -> None:
        if not given:
            raise _refused("\\i needs a file")
        self._run(all_statements(Path(given[0]).expanduser().read_text(encoding="utf-8")))

    def _form(self, given: list[str]) -> None:
        if given:
            if given[0] not in FORMATS:
                raise _refused(f"\\o takes {', '.join(FORMATS)}; for a file: {PROGRAM} query --file FILE > ANSWER")
            self.style = Format(given[0])
        self.note(f"answers are printed as {self.out.format}")

    def _set(self, given: list[str]) -> None:
        if not given:
            for name, value in self.limits.params.items():
                self.out.text(f"{name} = {one_line(value)}")
            return
        if len(given) != 2 or not given[0].isidentifier():
            raise _refused("\\set needs a name and a value: \\set id 42")
        self.limits.params[given[0]] = given[1]

    def _unset(self, given: list[str]) -> None:
        if not given or given[0] not in self.limits.params:
            raise _refused("\\unset needs the name of a value; \\set shows them")
        del self.limits.params[given[0]]

    def _time(self, given: list[str]) -> None:
        self.timing = _switched(self.timing, given, "timing")
        self.note(f"timing is {'on' if self.timing else 'off'}")

    def _expand(self, given: list[str]) -> None:
        self.expanded = _switched(self.expanded, given, "x")
        self.note(f"expanded display is {'on' if self.expanded else 'off'}")


def _switched(now: bool, given: list[str], name: str) -> bool:
    if not given:
        return not now
    if given[0] not in ("on", "off"):
        raise _refused(f"\\{name} takes on or off")
    return given[0] == "on"


def _refused(message: str) -> InvalidInput:
    return InvalidInput([FieldError("query", message)], message=message, code="usage")


class StoreCompleter(Completer):
    """Offers what the catalogue of the moment has."""

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self._catalogue = catalogue

    def get_completions(self, document: "Document", complete_event: CompleteEvent) -> Iterable[Completion]:
        begun, words = candidates(document.text, document.cursor_position, self._catalogue())
        for word in words:
            yield Completion(word.text, start_position=-len(begun), display_meta=word.about)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # the word that was chosen stands; the next Enter ends the line
        elif is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    return keys


class _History(FileHistory):
    """Of statements: what begins with a blank is not kept, and no value that ``\\set`` gives."""

    def store_string(self, string: str) -> None:
        if string.strip() and not string.startswith((" ", "\\set")):
            super().store_string(string)


def kept_history(path: Path | None = None) -> History:
    """``campaignctl/query_history`` below ``XDG_STATE_HOME`` (or ``~/.local/state``), for this user's eyes only.

    Where it cannot be written, the shell remembers for as long as it runs.
    """
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = path or Path(home).expanduser() / PROGRAM / "query_history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            os.fchmod(file.fileno(), 0o600)
            _shorten(file.fileno())
    except OSError:
        return InMemoryHistory()
    return _History(str(path))


def _shorten(descriptor: int) -> None:
    """Keep the newer half of a history that has grown long; an entry begins behind an empty line."""
    size = os.fstat(descriptor).st_size
    if size > _HISTORY_BYTES:
        kept = os.pread(descriptor, size // 2, size - size // 2)
        kept = kept[max(0, kept.find(b"\n\n")) :]
        os.pwrite(descriptor, kept, 0)
        os.ftruncate(descriptor, len(kept))
