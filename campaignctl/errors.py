"""Every error the product raises on purpose, drawn once.

    CampaignctlError              code, message, hint
    ├── InvalidInput              one or more fields of the caller's input are wrong   (HTTP 422, exit 2)
    │   └── NotAvailableYet       the question is right, this version cannot answer it yet
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


class NotAvailableYet(InvalidInput):
    code = "not_available_yet"


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


class Fenced(CampaignctlError):
    code = "fenced"
