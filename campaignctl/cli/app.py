"""The command line: a table of commands, each imported when it is used, and the one place where errors end.

``campaignctl --help`` imports no command and no heavy package; a command imports what it needs when it runs.
"""

import copy
import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperGroup, TyperOption

from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import PROGRAM, Invocation, examples, global_options, invocation_of
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from typer._click import Command as ClickCommand
    from typer._click import HelpFormatter
    from typer._click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the command table."""

    name: str
    module: str
    """Where its ``app`` is: a Typer of one command, or of several."""
    help: str
    """Equal to the first line of the command's own help (a test compares them)."""
    section: str


_START, _ASK, _FEED, _MANAGE, _HELP = "Start", "Ask", "Feed", "Manage", "Look up"

COMMANDS = (
    Entry("demo", "campaignctl.cli.demo", "From nothing to live insights on this machine.", _START),
    Entry("sandbox", "campaignctl.cli.sandbox", "Serve the four ad platforms, simulated, with known truth.", _START),
    Entry("init-schema", "campaignctl.cli.init_schema", "Create or migrate the stores and the topics.", _START),
    Entry("serve", "campaignctl.cli.serve", "Run the API; on embedded stores with the worker inside.", _START),
    Entry("work", "campaignctl.cli.work", "Run a worker that counts what is in the event log.", _START),
    Entry("dashboard", "campaignctl.cli.dashboard", "Watch campaigns live in the terminal.", _ASK),
    Entry("insights", "campaignctl.cli.insights", "Ask for a campaign's numbers.", _ASK),
    Entry("reconcile", "campaignctl.cli.reconcile", "Compare what was streamed with what was reported.", _ASK),
    Entry(
        "restatements", "campaignctl.cli.restatements", "List what platforms changed of what they had reported.", _ASK
    ),
    Entry("freshness", "campaignctl.cli.freshness", "Show how old the newest data is, by campaign and platform.", _ASK),
    Entry("pacing", "campaignctl.cli.pacing", "Hold a campaign's spend against its budget.", _ASK),
    Entry("lag", "campaignctl.cli.lag", "Show how many records wait to be counted, and for how long.", _ASK),
    Entry("query", "campaignctl.cli.query", "Run read-only SQL on the analytics store.", _ASK),
    Entry("verify", "campaignctl.cli.verify", "Compare the log, the raw rows and the rollup; repair them.", _ASK),
    Entry("events", "campaignctl.cli.events", "Send, export and erase events; list copies that differ.", _FEED),
    Entry("dlq", "campaignctl.cli.dlq", "List, show, replay and remove refused records.", _FEED),
    Entry("fetch", "campaignctl.cli.fetch", "Fetch a campaign's reports from the platforms.", _FEED),
    Entry("rates", "campaignctl.cli.rates", "Import and list currency rates.", _FEED),
    Entry("campaigns", "campaignctl.cli.campaigns", "List, show, create, change and erase campaigns.", _MANAGE),
    Entry("reaggregate", "campaignctl.cli.reaggregate", "Make a campaign's sums equal its raw records again.", _MANAGE),
    Entry("jobs", "campaignctl.cli.jobs", "List, show, await and cancel jobs.", _MANAGE),
    Entry("accounts", "campaignctl.cli.accounts", "Connect, list, check and remove accounts on ad platforms.", _MANAGE),
    Entry("members", "campaignctl.cli.members", "List, invite, change and remove members.", _MANAGE),
    Entry("users", "campaignctl.cli.users", "List users, and set forgotten passwords anew.", _MANAGE),
    Entry("api-keys", "campaignctl.cli.api_keys", "List, create and revoke API keys.", _MANAGE),
    Entry("audit", "campaignctl.cli.audit", "Show who changed what, and from where; newest first.", _MANAGE),
    Entry("backup", "campaignctl.cli.backup", "Keep the embedded stores and the made keys in one file.", _MANAGE),
    Entry("restore", "campaignctl.cli.restore", "Put the embedded stores back as a backup has them.", _MANAGE),
    Entry("login", "campaignctl.cli.login", "Sign in to a server and keep the session.", _MANAGE),
    Entry("doctor", "campaignctl.cli.doctor", "Look the whole installation over, and say what to do.", _HELP),
    Entry("explain", "campaignctl.cli.explain", "Say where a number comes from, or what a code means.", _HELP),
    Entry("context", "campaignctl.cli.context", "Name servers, and choose the one to work on.", _MANAGE),
    Entry("config", "campaignctl.cli.config", "Show the effective configuration, or check a file.", _HELP),
    Entry("completions", "campaignctl.cli.completions", "Print the completion script of a shell.", _HELP),
    Entry("exit-codes", "campaignctl.cli.exit_code_list", "Say what the exit codes mean.", _HELP),
    Entry("version", "campaignctl.cli.version", "Print the version.", _HELP),
)


class LazyGroup(TyperGroup):
    """The root: knows the commands by the table alone, and imports the one that is called."""

    entries: Sequence[Entry] = COMMANDS

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [entry.name for entry in self.entries]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> "ClickCommand | None":  # type: ignore[override]
        if cmd_name not in self.commands:
            entry = next((entry for entry in self.entries if entry.name == cmd_name), None)
            if entry is None:
                return None
            command = typer.main.get_command(importlib.import_module(entry.module).app)
            command.name = cmd_name
            _prepare(command, self.params)
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(_unknown_command(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: "HelpFormatter") -> None:  # type: ignore[override]
        width = max(len(entry.name) for entry in self.entries)
        for section in dict.fromkeys(entry.section for entry in self.entries):
            with formatter.section(section):
                rows = [(entry.name.ljust(width), entry.help) for entry in self.entries if entry.section == section]
                formatter.write_dl(rows)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> "list[CompletionItem]":  # type: ignore[override]
        from typer._click.shell_completion import CompletionItem

        found = [CompletionItem(e.name, help=e.help) for e in self.entries if e.name.startswith(incomplete)]
        return found if not incomplete.startswith("-") else super().shell_complete(ctx, incomplete)


def _unknown_command(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _prepare(command: Any, options: Sequence[Any]) -> None:
    """Plain help, -h, and the global options after the command's name too (shown there only where -o matters)."""
    command.rich_markup_mode = None
    command.context_settings = {**_CONTEXT, **command.context_settings}
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            _prepare(inner, options)
        return
    taken = {name for param in command.params for name in param.opts}
    for option in options:
        if isinstance(option, TyperOption) and option.name != "version" and not taken & set(option.opts):
            own = copy.copy(option)
            own.expose_value = False
            own.hidden = own.name != "output" or getattr(command.callback, "prints_no_data", False)
            command.params.append(own)
    if not any(getattr(command.callback, mark, False) for mark in ("prints_no_data", "prints_own_parquet")):
        command.callback = _ready_for_parquet(command.callback)


def _ready_for_parquet(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The command's function, that says before anything else when its answer could not be such a file."""

    @functools.wraps(callback)
    def called(*args: Any, **kwargs: Any) -> Any:
        from typer._click.globals import get_current_context

        invocation = invocation_of(cast(typer.Context, get_current_context()))
        if invocation.format is Format.PARQUET:
            from campaignctl.services.insight_exports import require_arrow

            if kwargs.get("watch"):
                raise InvalidInput([FieldError("--watch", "cannot be combined with -o parquet")], code="usage")
            require_arrow()
            invocation.out().refuse_terminal(hint="add > FILE")
        return callback(*args, **kwargs)

    return called


_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def root_command() -> LazyGroup:
    """The command tree's root."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
    app.callback(
        cls=LazyGroup,
        context_settings=_CONTEXT,
        epilog=examples(
            "campaignctl demo",
            "campaignctl serve",
            "campaignctl insights --campaign 1 --granularity weekly",
        )
        + "\n\n\b\nHelp of a command: campaignctl COMMAND --help",
    )(global_options)
    group = typer.main.get_group(app)
    assert isinstance(group, LazyGroup)  # noqa: S101  asked for two lines above
    group.rich_markup_mode = None
    return group


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; answers the exit code. Nothing but data has gone to stdout, no traceback to anyone."""
    group = root_command()
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        from campaignctl.cli.shells import register

        register()
        group.main(prog_name=PROGRAM, obj=Invocation())  # answers the shell and exits
    invocation = Invocation()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = _end_by_signals() if in_main_thread else {}
    try:
        with group.make_context(PROGRAM, arguments, obj=invocation) as context:
            group.invoke(context)
        sys.stdout.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILED
    except BaseException as error:  # the last stop: whatever it is becomes a sentence and an exit code
        from campaignctl.cli.failures import report

        return report(error, invocation, arguments)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return ExitCode.DONE


def _end_by_signals() -> dict[int, Any]:
    """Have what ends a program end it in order; answers the handlers before. A hangup that somebody has it ignore
    (``nohup``) stays ignored.
    """
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        numbers.append(signal.SIGHUP)
    return {number: signal.signal(number, _terminate) for number in numbers}


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that locks are given back and files closed, with the code of SIGTERM."""
    raise SystemExit(ExitCode.TERMINATED)
