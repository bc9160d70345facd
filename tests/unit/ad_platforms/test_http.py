"""The one careful caller: tries, waits, limits, and where it goes."""

import gzip
import logging
import random
import zlib
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import httpx2
import pytest

from campaignctl.adapters.ad_platforms.gate import LONGEST_HOLD_S, Gate
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, Hold, HttpLimits, Retry, TooMuch, Unauthorized
from campaignctl.errors import PlatformAnswerInvalid, PlatformThrottled, PlatformUnavailable
from campaignctl.services.platform_tally import PlatformTally
from tests.fakes.clock import ManualClock
from tests.unit.ad_platforms.support import TOKEN, Platform, Reply

ORIGIN = httpx2.URL("https://api.example")


def caller_of(
    clock: ManualClock,
    platform: Platform,
    limits: HttpLimits | None = None,
    pace_s: float = 0.0,
    watch: PlatformTally | None = None,
) -> Caller:
    gate = Gate(clock, pace_s)
    dice = random.Random(1)
    return Caller("meta", [ORIGIN], clock=clock, dice=dice, gate=gate, limits=limits, transport=platform, watch=watch)


def call(url: str = "https://api.example/report?secret=1", *, shrinkable: bool = False, account: str = "1") -> Call:
    return Call(
        "the report",
        "GET",
        url,
        account_id=account,
        keys=(f"account:{account}", "app:x"),
        headers={"Authorization": f"Bearer {TOKEN}"},
        shrinkable=shrinkable,
    )


def by_status(answer: Answer) -> bytes | Retry | Hold:
    """A judge without a platform."""
    if answer.status == 429:
        return Hold("is throttled", "account:1")
    return answer.body if answer.ok else Retry(f"answered with status {answer.status}")


def made(script: list[Reply], **how: object) -> tuple[ManualClock, Platform, Caller]:
    clock = ManualClock()
    platform = Platform(clock, script)
    return clock, platform, caller_of(clock, platform, **how)  # type: ignore[arg-type]


def ok(content: bytes = b"fine", **headers: str) -> httpx2.Response:
    return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(content))


def busy(status: int = 500, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_what_may_succeed_is_tried_again_after_a_jittered_doubling_wait() -> None:
    _, platform, caller = made([busy(), busy(), busy(), busy(), ok()])
    assert caller.fetch(call(), by_status) == b"fine"
    assert all(0 <= gap <= bound for gap, bound in zip(platform.gaps_s, [1, 2, 4, 8], strict=True))
    assert len(set(platform.gaps_s)) == 4


def test_the_tries_end() -> None:
    _, platform, caller = made([busy()] * 9)
    with pytest.raises(PlatformUnavailable, match="meta: the report answered with status 500, 5 times") as caught:
        caller.fetch(call(), by_status)
    assert len(platform.asked) == 5
    assert (caught.value.platform, caught.value.account_id) == ("meta", "1")


@pytest.mark.parametrize(
    "failure",
    [httpx2.ConnectTimeout("x"), httpx2.ReadTimeout("x"), httpx2.ConnectError("x"), httpx2.RemoteProtocolError("x")],
)
def test_a_transport_that_fails_is_tried_again(failure: Exception) -> None:
    _, platform, caller = made([failure, ok()])
    assert caller.fetch(call(), by_status) == b"fine"
    assert len(platform.asked) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_nothing_is_called_before_retry_after_ends(status: int) -> None:
    _, platform, caller = made([busy(status, retry_after="30"), ok()])
    assert caller.fetch(call(), by_status) == b"fine"
    assert 30 <= platform.gaps_s[0] <= 31


def test_retry_after_may_be_a_date() -> None:
    clock = ManualClock()
    at = format_datetime(clock.now() + timedelta(seconds=20), usegmt=True)
    platform = Platform(clock, [busy(429, retry_after=at), ok()])
    assert caller_of(clock, platform).fetch(call(), by_status) == b"fine"
    assert 20 <= platform.gaps_s[0] <= 21


@pytest.mark.parametrize("text", ["soon", "-5", "1e3", "٣", "9" * 30, "Mon, 99 Foo 2026"])
def test_a_retry_after_that_is_none_is_as_good_as_absent(text: str) -> None:
    answer = httpx2.Response(500, headers=[(b"Retry-After", text.encode())])
    _, platform, caller = made([answer, ok()])
    assert caller.fetch(call(), by_status) == b"fine"
    assert platform.gaps_s[0] <= 1


def test_a_long_wait_is_the_callers_and_nothing_is_called_meanwhile() -> None:
    clock, platform, caller = made([busy(429, retry_after="3600"), ok()])
    with pytest.raises(PlatformThrottled) as caught:
        caller.fetch(call(), by_status)
    assert 3600 <= caught.value.retry_after_s <= 3601
    for _ in range(10):
        clock.advance(350)
        with pytest.raises(PlatformThrottled):
            caller.fetch(call(), by_status)
    assert len(platform.asked) == 1
    clock.advance(110)
    assert caller.fetch(call(), by_status) == b"fine"


def test_a_hold_is_for_the_account_alone_unless_it_is_the_apps() -> None:
    _, platform, caller = made([busy(429, retry_after="3600"), ok()])
    with pytest.raises(PlatformThrottled):
        caller.fetch(call(), by_status)
    assert caller.fetch(call(account="2"), by_status) == b"fine"

    clock, platform, caller = made([busy(429), ok()])
    with pytest.raises(PlatformThrottled):
        caller.fetch(call(), lambda _: Hold("is throttled", "app:x", wait_s=900))
    with pytest.raises(PlatformThrottled):
        caller.fetch(call(account="2"), by_status)
    assert len(platform.asked) == 1
    clock.advance(901)
    assert caller.fetch(call(account="2"), by_status) == b"fine"


def test_a_quota_without_a_word_on_its_end_is_waited_for_longer_each_time() -> None:
    _, platform, caller = made([busy(429)] * 9, limits=HttpLimits(patience_s=10_000))
    with pytest.raises(PlatformThrottled) as caught:
        caller.fetch(call(), by_status)
    assert [60 * 2**n <= gap <= 75 * 2**n for n, gap in enumerate(platform.gaps_s)] == [True] * 3
    assert caught.value.retry_after_s >= 480


def test_a_hold_has_a_longest_length() -> None:
    clock = ManualClock()
    gate = Gate(clock, 0.0)
    gate.hold("a", 1e300)
    gate.hold("a", 5)
    assert gate.held_for_s(["a"]) == LONGEST_HOLD_S


def test_calls_of_an_account_keep_their_pace() -> None:
    _, platform, caller = made([ok()] * 4, pace_s=0.5)
    for _ in range(4):
        caller.fetch(call(), by_status)
    assert platform.gaps_s == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_credentials_never_follow(status: int) -> None:
    answer = httpx2.Response(status, headers={"Location": "https://evil.example/?t=1"})
    _, platform, caller = made([answer])
    with pytest.raises(PlatformAnswerInvalid, match="meta: the report answered with a redirect"):
        caller.fetch(call(), by_status)
    assert len(platform.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://api.example/x",
        "https://api.example:444/x",
        "https://api.example@evil.example/",
    ],
)
def test_no_other_host_is_called(url: str) -> None:
    _, platform, caller = made([])
    with pytest.raises(PlatformAnswerInvalid, match="not configured"):
        caller.fetch(call(url), by_status)
    assert not platform.asked


def test_cookies_are_not_kept() -> None:
    _, platform, caller = made([ok(**{"Set-Cookie": "id=1; Path=/"}), ok()])
    for _ in range(2):
        caller.fetch(call(), by_status)
    assert all("cookie" not in request.headers for request in platform.asked)


def bomb() -> bytes:
    pack = zlib.compressobj(9, wbits=31)
    zeros = bytes(1_000_000)
    return b"".join(pack.compress(zeros) for _ in range(200)) + pack.flush()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: ok(bomb(), **{"Content-Encoding": "gzip"}),
        lambda: ok(bytes(1_100_000)),
        lambda: ok(bytes(1_100_000), **{"Content-Length": "5"}),
    ],
)
def test_an_answer_larger_than_the_limit_is_cut(answer: Callable[[], httpx2.Response]) -> None:
    limits = HttpLimits(body_bytes=1_000_000)
    _, platform, caller = made([answer()], limits=limits)
    with pytest.raises(PlatformAnswerInvalid, match="more than fits"):
        caller.fetch(call(), by_status)
    assert len(platform.asked) == 1
    _, _, caller = made([answer()], limits=limits)
    with pytest.raises(TooMuch):
        caller.fetch(call(shrinkable=True), by_status)


def test_gzip_is_unpacked() -> None:
    text = random.Random(3).randbytes(700_000).hex().encode()
    _, platform, caller = made([ok(gzip.compress(text), **{"Content-Encoding": "gzip"})])
    assert caller.fetch(call(), by_status) == text
    assert platform.asked[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: b"\x1f\x8b" + bytes(30)])
def test_a_damaged_or_cut_body_is_asked_for_again(damage: Callable[[bytes], bytes]) -> None:
    packed = damage(gzip.compress(b"fine" * 1000))
    _, platform, caller = made([ok(packed, **{"Content-Encoding": "gzip"}), ok()])
    assert caller.fetch(call(), by_status) == b"fine"
    assert len(platform.asked) == 2


def test_a_coding_that_was_not_asked_for_is_refused() -> None:
    _, _, caller = made([ok(b"x", **{"Content-Encoding": "zstd"})])
    with pytest.raises(PlatformAnswerInvalid, match="coding"):
        caller.fetch(call(), by_status)


class _Dripping(httpx2.SyncByteStream):
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.closed = False

    def __iter__(self):  # type: ignore[no-untyped-def]
        while True:
            self.clock.advance(10)
            yield b"x"

    def close(self) -> None:
        self.closed = True


def test_a_body_that_never_ends_is_left() -> None:
    clock = ManualClock()
    streams = [_Dripping(clock) for _ in range(5)]
    platform = Platform(clock, [httpx2.Response(200, stream=stream) for stream in streams])
    began_s = clock.monotonic_s()
    with pytest.raises(PlatformUnavailable, match="too slowly"):
        caller_of(clock, platform).fetch(call(), by_status)
    assert all(stream.closed for stream in streams)
    assert clock.monotonic_s() - began_s < 5 * 130 + 20


def test_a_verdict_of_the_judge_ends_it() -> None:
    def judge(_: Answer) -> bytes | Retry | Hold:
        raise PlatformUnavailable("no", platform="meta")

    _, platform, caller = made([busy()])
    with pytest.raises(PlatformUnavailable):
        caller.fetch(call(), judge)
    assert len(platform.asked) == 1


def test_no_secret_is_in_logs_errors_or_reprs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made_call = call(f"https://api.example/r?access_token={TOKEN}")
    refused: list[Reply] = [busy(), httpx2.ConnectError(TOKEN), httpx2.Response(500, content=TOKEN.encode())]
    _, _, caller = made([*refused, busy(), busy()])
    with pytest.raises(PlatformUnavailable) as caught:
        caller.fetch(made_call, by_status)
    answer = Answer(200, httpx2.Headers({"x": TOKEN}), TOKEN.encode())
    shown = [repr(made_call), repr(answer), str(caught.value), repr(caught.value), *caplog.messages]
    assert not any(TOKEN in text for text in shown)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_every_request_is_counted_by_what_became_of_it() -> None:
    script = [busy(429, retry_after="7"), busy(), httpx2.ReadTimeout("x"), ok()]
    tally = PlatformTally()
    clock, _, caller = made(script, watch=tally, pace_s=2.0)
    assert caller.fetch(call(), by_status) == b"fine"
    told = tally.totals()
    outcomes = {outcome: count for (platform, outcome), count in told.requests.items() if platform == "meta" and count}
    assert outcomes == {"throttled": 1, "transient": 1, "unreachable": 1, "ok": 1}
    waits = {reason: seconds for (platform, reason), seconds in told.wait_s.items() if platform == "meta"}
    assert 7 <= waits["quota"] <= 8
    assert waits["retry"] > 0
    assert sum(waits.values()) == pytest.approx((clock.now() - ManualClock().now()).total_seconds(), abs=1e-5)


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (TooMuch("x"), "too_much"),
        (Unauthorized("x"), "unauthorized"),
        (PlatformAnswerInvalid("x", platform="meta", account_id="1"), "refused"),
    ],
)
def test_a_request_that_an_error_ends_is_counted_too(raised: Exception, outcome: str) -> None:
    def judge(_: Answer) -> bytes:
        raise raised

    tally = PlatformTally()
    _, _, caller = made([ok()], watch=tally)
    with pytest.raises(type(raised)):
        caller.fetch(call(), judge)
    assert {key: count for key, count in tally.totals().requests.items() if count} == {("meta", outcome): 1}
