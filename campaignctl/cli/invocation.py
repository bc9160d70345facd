"""What every command shares: the options that may stand before or after its name, settings, output, prompts."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer

from campaignctl import __version__
from campaignctl.cli.exit_codes import Declined
from campaignctl.cli.formats import Format
from campaignctl.errors import ConfigurationError, FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.contexts import Place
    from campaignctl.cli.output import Output
    from campaignctl.config import Settings

PROGRAM = "campaignctl"
LOG_FILE = "campaignctl.log"
"""In the data directory."""
_Command = TypeVar("_Command", bound=Callable[..., None])


@dataclass(slots=True)
class Invocation:
    """One run of the program. Filled while the command line is parsed, hence mutable."""

    config: Path | None = None
    api: str | None = None
    context_name: str | None = None
    organization: int | None = None
    debug: bool = False
    quiet: bool = False
    verbose: int = 0
    output: Format | None = None
    data_dir: Path | None = None
    """Known once settings were loaded; where the log file is."""

    @property
    def format(self) -> Format:
        """``-o``, else ``CA_OUTPUT``, else a table, whether a person looks or not."""
        if self.output is not None:
            return self.output
        word = os.environ.get("CA_OUTPUT", "")
        try:
            return Format(word.lower()) if word else Format.TABLE
        except ValueError:
            known = ", ".join(Format)
            raise ConfigurationError(f"CA_OUTPUT must be one of {known}", hint="unset it, or set it anew") from None

    def place(self) -> "Place":
        """The server to work on, and what chose it."""
        from campaignctl.cli.contexts import choose

        return choose(self.api, self.context_name, os.environ)

    def located(self, text: str) -> str:
        """The text behind the server that it is about, if one was chosen: ``[context prod, https://...] Remove it?``"""
        where = str(self.place())
        return f"[{where}] {text}" if where else text

    @property
    def api_url(self) -> str | None:
        return self.place().api

    def settings(self, flags: Mapping[str, Any] | None = None) -> "Settings":
        """The effective settings; ``flags`` maps keys to values of this command's options, None where not given."""
        from campaignctl.config import load_settings

        settings = load_settings(self.config, flags=flags)
        self.data_dir = settings.data_dir
        return settings

    def out(self, stdout: TextIO | None = None) -> "Output":
        """Where the answer goes: to stdout unless another stream is given."""
        from campaignctl.cli.output import Output

        return Output(self.format, quiet=self.quiet, stdout=stdout)

    def log_to_stderr(self, level: str, style: str = "console") -> None:
        """Log from ``level`` up, or from what -q, -v and --debug say: for programs whose log is what they print."""
        from campaignctl.telemetry import configure_logging

        configure_logging(self._level or level, style)

    def log_beside(self) -> None:
        """Log warnings into the data directory: for commands that open the stores; with -v or --debug to stderr."""
        from campaignctl.telemetry import configure_logging, log_to_file

        if self.debug or self.verbose or self.data_dir is None:
            configure_logging(self._level or "error", "console")
        else:
            log_to_file(self.data_dir / LOG_FILE)

    @property
    def _level(self) -> str | None:
        if self.debug or self.verbose > 1:
            return "debug"
        if self.verbose:
            return "info"
        return "error" if self.quiet else None


def invocation_of(context: typer.Context) -> Invocation:
    invocation = context.find_root().obj
    assert isinstance(invocation, Invocation)  # noqa: S101  run() made it
    return invocation


def _remember(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """Keep a global option's value wherever it stood; an option not given must not undo one given earlier."""
    if value is not None and value is not False and value != 0 and param.name is not None:
        setattr(context.find_root().obj, param.name, value)
    return value


def _print_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        raise typer.Exit


def context_names() -> list[str]:
    """Completion of a context's name."""
    from campaignctl.cli.contexts import names

    return names()


def global_options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Configuration file (default: config/config.yaml).", callback=_remember
        ),
    ] = None,
    api: Annotated[
        str | None,
        typer.Option("--api", metavar="URL", help="Work through this server (or CA_API_URL).", callback=_remember),
    ] = None,
    context_name: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="Work through the server of that name (or CA_CONTEXT).",
            callback=_remember,
            autocompletion=context_names,
        ),
    ] = None,
    organization: Annotated[
        int | None,
        typer.Option(
            "--organization",
            metavar="N",
            min=1,
            help="As the machine's operator, see only this organization.",
            callback=_remember,
        ),
    ] = None,
    output: Annotated[
        Format | None,
        typer.Option(
            "--output", "-o", case_sensitive=False, help="How data is printed (or CA_OUTPUT).", callback=_remember
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Errors only on stderr.", callback=_remember)] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="More on stderr; twice for everything.",
            callback=_remember,
        ),
    ] = 0,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything, and show the traceback of an error.", callback=_remember)
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Real-time ad-campaign analytics: events counted exactly once, insights you can trust."""


def new_app(help: str | None = None) -> typer.Typer:
    """What a command's module calls ``app``; with ``help`` it is a group of commands."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, help=help, no_args_is_help=help is not None)


def examples(*lines: str) -> str:
    """The epilog of a command's help, one example a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def words(*known: str) -> Callable[[], list[str]]:
    """Completion of an option whose words the API checks."""
    return lambda: list(known)


def prints_no_data(command: _Command) -> _Command:
    """Mark a command for which ``-o`` shapes nothing but errors, so that its help does not list it."""
    command.prints_no_data = True  # type: ignore[attr-defined]
    return command


def prints_own_parquet(command: _Command) -> _Command:
    """Mark a command that looks itself whether it can write Parquet; of all others the rows are written as they are."""
    command.prints_own_parquet = True  # type: ignore[attr-defined]
    return command


def is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, *, flag: str, hide: bool = False) -> str:
    """Ask the person; without one, name the flag that gives the answer instead of waiting for ever."""
    if not is_interactive():
        raise InvalidInput(
            [FieldError(flag, "must be given, as there is no terminal to ask on")], hint=f"add {flag}", code="usage"
        )
    answer = _read_hidden(question) if hide else _read_line(question)
    if not answer:
        raise Declined("nothing was done")
    return answer


def confirm(question: str, *, yes: bool, on: Invocation | None = None) -> None:
    """Go on only when the person says so, or ``--yes`` was given; ``Declined`` otherwise, also without a terminal.

    ``on`` has the question begin with the server that it is about, if it is about one.
    """
    if yes:
        return
    if not is_interactive():
        raise Declined("nothing was done, as there is no terminal to ask on", hint="add --yes")
    asked = on.located(question) if on is not None else question
    if _read_line(f"{asked} [y/N]").lower() not in ("y", "yes"):
        raise Declined("nothing was done")


def first_line() -> str:
    """The next line of standard input, for secrets that must not stand on a command line."""
    return sys.stdin.readline().rstrip("\r\n")


def _read_line(question: str) -> str:
    sys.stderr.write(f"{question}: ")  # not input(): stdout is for data alone
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _read_hidden(question: str) -> str:
    import getpass

    try:
        return getpass.getpass(f"{question}: ")
    except EOFError:
        return ""
