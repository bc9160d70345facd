"""Every error the product raises on purpose, drawn once.

    CampaignctlError              code, message, hint
    ├── InvalidInput              one or more fields of the caller's input are wrong   (HTTP 422, exit 2)
    ├── MalformedRequest          the input does not parse at all                      (HTTP 400, exit 2)
    ├── TooLarge                  the input is larger than the documented bound        (HTTP 413, exit 2)
    ├── NotSignedIn               no credentials, or credentials that no longer hold   (HTTP 401, exit 4)
    ├── Forbidden                 signed in, and not allowed                           (HTTP 403, exit 4)
    ├── NotFound                  no such object, or one of another organization       (HTTP 404, exit 5)
    ├── Conflict                  the object's state does not allow this               (HTTP 409, exit 1)
    │   └── PreconditionFailed    the object changed since it was read                 (HTTP 412, exit 1)
    ├── PreconditionRequired      If-Match is missing                                  (HTTP 428, exit 1)
    ├── Throttled                 too many tries; retry_after_s says how long to wait  (HTTP 429, exit 7)
    ├── Unavailable               a service cannot be reached now; a retry may help    (HTTP 503, exit 7)
    │   ├── DirectoryInUse        another process owns the embedded stores
    │   ├── StorageFull           the disk is full or the store cannot be written
    │   └── NotYetVisible         what was posted is durable, and not applied yet
    ├── ConfigurationError        the configuration is wrong                           (exit 2)
    │   └── SchemaMismatch        the schema is older or newer than this program, or was changed by hand
    ├── PlatformError             an ad platform did not give what it was asked for
    │   ├── PlatformUnavailable   tried and failed, may be tried later                 (HTTP 503, exit 7)
    │   ├── PlatformThrottled     a quota is used up: nothing is called before
    │   │                         retry_after_s is over                                (HTTP 503, exit 7)
    │   ├── PlatformSignInExpired the credentials no longer hold: a person has to
    │   │                         sign in again                                        (HTTP 409, exit 4)
    │   ├── PlatformForbidden     the credentials hold and do not allow this; missing
    │   │                         names what would                                     (HTTP 409, exit 4)
    │   ├── PlatformRejected      the platform says that the request is wrong: the
    │   │                         same one is never sent again                         (HTTP 409, exit 1)
    │   └── PlatformAnswerInvalid the answer is not what the platform documents        (HTTP 503, exit 1)
    ├── ClockSkew                 this machine's clock is not the servers'                (never ends a program)
    └── Fenced                    this process no longer owns the partition it tried to commit

One handler (``server/problem.py``) turns the tree into HTTP problems, one (``campaignctl/cli/exit_codes.py``) into
exit codes. Drivers' own exceptions never leave an adapter. A message never holds a secret or a rejected value of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one member of the input."""

    field: str
    """The member's name as the caller wrote it; a dot separates levels (``platforms.0.platform``)."""
    message: str
    """A sentence that says what is wrong and what would be right."""


class CampaignctlError(Exception):
    """The root of the tree.

    ``code`` is stable and searchable, ``message`` a sentence for people, ``hint`` what to do next (may be empty).
    """

    code = "failed"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class InvalidInput(CampaignctlError):
    code = "invalid_input"

    def __init__(
        self, errors: Sequence[FieldError], *, message: str = "", hint: str = "", code: str | None = None
    ) -> None:
        super().__init__(message or "; ".join(f"{e.field}: {e.message}" for e in errors), hint=hint, code=code)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        return cls([FieldError(field, message)])


class MalformedRequest(CampaignctlError):
    code = "malformed_request"


class TooLarge(CampaignctlError):
    code = "too_large"


class NotSignedIn(CampaignctlError):
    code = "not_signed_in"


class Forbidden(CampaignctlError):
    code = "forbidden"


class NotFound(CampaignctlError):
    code = "not_found"


class Conflict(CampaignctlError):
    code = "conflict"


class PreconditionFailed(Conflict):
    code = "precondition_failed"


class PreconditionRequired(CampaignctlError):
    code = "precondition_required"


class Throttled(CampaignctlError):
    code = "throttled"

    def __init__(self, message: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Unavailable(CampaignctlError):
    code = "unavailable"

    def __init__(
        self, message: str, *, service: str, retry_after_s: float = 1.0, hint: str = "", code: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.service = service
        """``analytics``, ``metadata``, ``event_log``, ``cache`` or ``api``."""
        self.retry_after_s = retry_after_s


class DirectoryInUse(Unavailable):
    code = "directory_in_use"


class StorageFull(Unavailable):
    code = "storage_full"


class NotYetVisible(Unavailable):
    code = "not_yet_visible"


class ConfigurationError(CampaignctlError):
    code = "configuration"


class SchemaMismatch(ConfigurationError):
    code = "schema_mismatch"


class NewerSchema(SchemaMismatch):
    """A store was brought up to date by a newer version, as in the middle of an upgrade."""


class ClockSkew(CampaignctlError):
    code = "clock_skew"


class Fenced(CampaignctlError):
    code = "fenced"


class PlatformError(CampaignctlError):
    """What a call of an ad platform came to. A message holds neither a credential nor the platform's raw answer."""

    code = "platform_failed"

    def __init__(
        self, message: str, *, platform: str, account_id: str = "", retry_after_s: float | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.platform = platform
        self.account_id = account_id
        self.retry_after_s = retry_after_s
        """Seconds to wait before it may be tried again; None where waiting alone does not help or nothing is known."""


class PlatformUnavailable(PlatformError):
    code = "platform_unavailable"


class PlatformThrottled(PlatformError):
    """Always with ``retry_after_s``."""

    code = "platform_throttled"
    retry_after_s: float

    def __init__(
        self, message: str, *, platform: str, retry_after_s: float, account_id: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, platform=platform, account_id=account_id, retry_after_s=retry_after_s, hint=hint)


class PlatformSignInExpired(PlatformError):
    code = "platform_sign_in_expired"


class PlatformForbidden(PlatformError):
    code = "platform_forbidden"

    def __init__(
        self, message: str, *, platform: str, account_id: str = "", missing: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, platform=platform, account_id=account_id, hint=hint)
        self.missing = tuple(missing)
        """The permissions that are missing, in the platform's words; empty where it does not say."""


class PlatformRejected(PlatformError):
    code = "platform_rejected"


class PlatformAnswerInvalid(PlatformError):
    code = "platform_answer_invalid"
