"""What an error means for the exit code."""

import pytest

from campaignctl import errors
from campaignctl.cli.exit_codes import exit_code_for


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PlatformUnavailable("away", platform="meta"), 7),
        (errors.PlatformThrottled("quota", platform="meta", retry_after_s=9), 7),
        (errors.PlatformSignInExpired("sign in", platform="meta"), 4),
        (errors.PlatformForbidden("no", platform="meta"), 4),
        (errors.PlatformRejected("wrong", platform="meta"), 1),
        (errors.PlatformAnswerInvalid("odd", platform="meta"), 1),
    ],
)
def test_a_platforms_errors(error: errors.PlatformError, code: int) -> None:
    assert exit_code_for(error) == code
