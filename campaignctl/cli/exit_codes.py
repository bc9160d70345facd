"""What the exit code says, and the one function that chooses it."""

from enum import IntEnum

from campaignctl import errors


class ExitCode(IntEnum):
    DONE = 0
    """Done, also when the answer is empty."""
    FAILED = 1
    """The operation failed."""
    USAGE = 2
    """The command line, the input or the configuration is wrong."""
    DECLINED = 3
    """A question was declined, or a wait timed out."""
    NOT_ALLOWED = 4
    """Not signed in, or not allowed."""
    NOT_FOUND = 5
    PARTLY = 6
    """Partly done: some of the input was refused, or some platforms failed."""
    UNREACHABLE = 7
    """A service cannot be reached now; a retry may help."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""
    TERMINATED = 143
    """Stopped by SIGTERM, or because its terminal was closed (SIGHUP)."""


class Declined(errors.CampaignctlError):
    """The person said no."""

    code = "declined"


class WaitTimedOut(errors.CampaignctlError):
    """What was waited for has not come about yet; nothing failed."""

    code = "wait_timed_out"


class PartlyDone(errors.CampaignctlError):
    """Some of what was asked is done and some is not; the command has already printed which."""

    code = "partly_done"


# The first match decides, so a class stands before the one it derives from.
_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (Declined, ExitCode.DECLINED),
    (WaitTimedOut, ExitCode.DECLINED),
    (errors.NotYetVisible, ExitCode.DECLINED),
    (PartlyDone, ExitCode.PARTLY),
    (errors.InvalidInput, ExitCode.USAGE),
    (errors.MalformedRequest, ExitCode.USAGE),
    (errors.TooLarge, ExitCode.USAGE),
    (errors.ConfigurationError, ExitCode.USAGE),
    (errors.NotSignedIn, ExitCode.NOT_ALLOWED),
    (errors.Forbidden, ExitCode.NOT_ALLOWED),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.Throttled, ExitCode.UNREACHABLE),
    (errors.Unavailable, ExitCode.UNREACHABLE),
    (errors.PlatformUnavailable, ExitCode.UNREACHABLE),
    (errors.PlatformThrottled, ExitCode.UNREACHABLE),
    (errors.PlatformSignInExpired, ExitCode.NOT_ALLOWED),
    (errors.PlatformForbidden, ExitCode.NOT_ALLOWED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (BrokenPipeError, ExitCode.DONE),
)


def exit_code_for(error: BaseException) -> ExitCode:
    """The exit code of a command that ended with the error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


MEANINGS: tuple[tuple[ExitCode, str], ...] = (
    (ExitCode.DONE, "done (an empty answer too)"),
    (ExitCode.FAILED, "failed"),
    (ExitCode.USAGE, "wrong usage, input or configuration"),
    (ExitCode.DECLINED, "declined, or a wait timed out"),
    (ExitCode.NOT_ALLOWED, "not signed in, or not allowed"),
    (ExitCode.NOT_FOUND, "not found"),
    (ExitCode.PARTLY, "partly done: some of the input was refused, or some platforms failed"),
    (ExitCode.UNREACHABLE, "a service cannot be reached; a retry may help"),
    (ExitCode.INTERRUPTED, "interrupted (Ctrl-C)"),
    (ExitCode.TERMINATED, "terminated (SIGTERM, or its terminal was closed)"),
)
