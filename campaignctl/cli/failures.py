"""How a failed command says so: a sentence and a hint on stderr, a problem document with ``-o json``."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from campaignctl.cli.exit_codes import ExitCode, exit_code_for
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import LOG_FILE, PROGRAM, Invocation
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput, Unavailable
from campaignctl.telemetry import format_traceback, one_line, write_traceback


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person or a script is told."""

    exit_code: ExitCode
    code: str
    message: str
    hint: str = ""
    errors: tuple[FieldError, ...] = ()
    retryable: bool = False

    def as_text(self) -> str:
        lines = [f"error[{self.code}]: {one_line(self.message)}"]
        if self.hint:
            lines.append(f"hint: {one_line(self.hint)}")
        return "\n".join(lines) + "\n"

    def as_problem(self) -> str:
        """One line of JSON, the members as in the API's problems (RFC 9457)."""
        problem: dict[str, object] = {
            "type": f"urn:campaignctl:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "detail": self.message,
            "code": self.code,
            "exit_code": int(self.exit_code),
            "retryable": self.retryable,
        }
        if self.errors:
            problem["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        if self.hint:
            problem["hint"] = self.hint
        return json.dumps(problem) + "\n"


def report(error: BaseException, invocation: Invocation, arguments: Sequence[str]) -> int:
    """Tell the failure and answer the exit code. An unexpected one leaves its traceback in the log file."""
    if isinstance(error, BrokenPipeError):
        _forget_stdout()  # the reader has seen enough (head, less): nobody is left to tell
        return ExitCode.DONE
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # what was printed comes before the error
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("\ninterrupted\n")
        return ExitCode.INTERRUPTED
    failure = failure_of(error, invocation, arguments)
    if invocation.debug:
        sys.stderr.write(format_traceback(error) + "\n")
    sys.stderr.write(failure.as_problem() if _wants_json(invocation) else failure.as_text())
    return failure.exit_code


def failure_of(error: BaseException, invocation: Invocation, arguments: Sequence[str]) -> Failure:
    """What is told of the error. The traceback of an unexpected one goes to the log file."""
    match error:
        case CampaignctlError():
            fields = error.errors if isinstance(error, InvalidInput) else ()
            retryable = isinstance(error, Unavailable)
            return Failure(exit_code_for(error), error.code, error.message, error.hint, fields, retryable)
        case typer.TyperException():
            return _usage(error)
        case typer.Abort():
            return Failure(ExitCode.DECLINED, "declined", "nothing was done")
        case OSError(filename=str() as path, strerror=str() as reason):
            return Failure(ExitCode.FAILED, "file", f"{path}: {reason}", "check the path and its permissions")
    return _unexpected(error, invocation, arguments)


def _usage(error: typer.TyperException) -> Failure:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
        message = "a command is missing"
    for wording, ours in (("Value error, ", ""), ("Input should be ", "must be "), ("input should be ", "must be ")):
        message = message.replace(wording, ours)
    return Failure(ExitCode.USAGE, "usage", message.rstrip(".").strip(), f"{path} --help")


def _unexpected(error: BaseException, invocation: Invocation, arguments: Sequence[str]) -> Failure:
    kind = type(error).__name__
    log = invocation.data_dir / LOG_FILE if invocation.data_dir is not None else None
    if log is not None and not invocation.debug and write_traceback(log, error, [PROGRAM, *arguments[:1]]):
        hint = f"the details are in {log}"
    else:
        hint = "run the command again with --debug to see the details"
    return Failure(ExitCode.FAILED, "internal_error", f"something unexpected went wrong ({kind})", hint)


def _wants_json(invocation: Invocation) -> bool:
    try:
        return invocation.format in (Format.JSON, Format.NDJSON)
    except CampaignctlError:  # CA_OUTPUT itself is what is wrong
        return False


def _forget_stdout() -> None:
    """Keep the interpreter's own last flush from failing on the closed pipe."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
