"""The REST API as the dashboard asks it: an installation with campaigns, jobs and dead letters, the same every time."""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from campaignctl.domain.insight_questions import PARAMETERS
from campaignctl.errors import Forbidden, NotFound

NOW = datetime(2026, 10, 31, 12, 0, 5, tzinfo=UTC)
_PARAMS = {
    "/insights": set(PARAMETERS), "/campaigns": {"limit", "q", "cursor"}, "/jobs": {"limit", "kind", "status", "cursor"},
    "/dead-letters": {"limit", "reason", "cursor"}, "/freshness": {"campaign"},
}  # fmt: skip
_PLATFORM_SHARE = {"google": 1.0, "linkedin": 0.45, "meta": 1.3, "tiktok": 0.6}
_REGION_SHARE = {"DE": 0.4, "IN": 1.1, "US-CA": 0.9}


@dataclass
class FakeAnswer:
    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return self.body


class FakeApi:
    """Answers as the server does, or fails as told."""

    def __init__(self, campaigns: int = 3, role: str | None = "admin") -> None:
        self.names = [f"Campaign {n} [red]x[/red]" for n in range(1, campaigns + 1)]
        self.role = role
        """None: who asks is an API key that may read."""
        self.error: Exception | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.done: list[tuple[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.factor = 1.0
        self.lag = 12
        self.jobs = [
            _job(7, "reaggregate", "running", done=12),
            _job(6, "fetch", "partial"),
            _job(5, "replay", "failed"),
        ]
        self.letters = [_letter(n) for n in range(40, 0, -1)]

    def health(self) -> Any:
        self._wait()
        return {"status": "ok", "checks": _CHECKS}

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> FakeAnswer:
        given = dict(params or {})
        path = path.removeprefix("/api/v1")
        for end, known in _PARAMS.items():
            assert not path.endswith(end) or set(given) <= known
        self.asked.append((path, given))
        self._wait()
        if method == "POST":
            assert headers is not None
            assert headers["Idempotency-Key"]
            return FakeAnswer(self._post(path, body), 202)
        answer = self._get(path, given)
        tag = f'W/"{hash(str(answer))}"'
        if (headers or {}).get("If-None-Match") == tag:
            return FakeAnswer(None, 304, {"ETag": tag})
        return FakeAnswer(answer, 200, {"ETag": tag, **({"X-Cache": "miss"} if path.endswith("insights") else {})})

    def _wait(self) -> None:
        self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def _get(self, path: str, given: dict[str, str]) -> Any:
        if path == "/auth/me":
            if self.role is None:
                raise NotFound("who asks is not a user but an API key")
            return {"id": 1, "email": "ada@example.com", "name": "Ada", "role": self.role}
        if path in ("/system", "/dead-letters") and self.role not in ("operator", "admin"):
            raise Forbidden("this needs the role operator")
        if path == "/system":
            return self._system()
        if path == "/freshness":
            return {"items": _FRESHNESS, "truncated": False}
        if path in ("/campaigns", "/jobs", "/dead-letters"):
            return _page(
                {"/campaigns": self._found, "/jobs": self._jobs, "/dead-letters": self._letters}[path](given), given
            )
        number, _, what = path.removeprefix("/campaigns/").partition("/")
        if what == "insights":
            return self._insights(given)
        return {"pacing": _PACING, "reconcile": _reconcile(), "restatements": _RESTATEMENTS}.get(
            what
        ) or self._campaign(int(number))

    def _post(self, path: str, body: Any) -> Any:
        self.done.append((path, body))
        if path.endswith("/cancel"):
            number = int(path.split("/")[2])
            job = next(job for job in self.jobs if job["job_id"] == number)
            job["status"] = "cancelled"
            return job
        kind = {"fetch-data": "fetch", "reaggregate": "reaggregate", "replay": "replay"}[path.rpartition("/")[2]]
        self.jobs.insert(0, _job(self.jobs[0]["job_id"] + 1, kind, "queued", done=0))
        return self.jobs[0]

    def _found(self, given: dict[str, str]) -> list[Any]:
        wanted = given.get("q", "").lower()
        return [self._campaign(n) for n, name in enumerate(self.names, 1) if wanted in name.lower()]

    def _jobs(self, given: dict[str, str]) -> list[Any]:
        return [
            j
            for j in self.jobs
            if given.get("kind", j["kind"]) == j["kind"] and given.get("status", j["status"]) == j["status"]
        ]

    def _letters(self, given: dict[str, str]) -> list[Any]:
        return [one for one in self.letters if given.get("reason", one["code"]) == one["code"]]

    def _campaign(self, number: int) -> dict[str, Any]:
        links = [
            {"platform": p, "account_id": f"{p}-1002003", "external_id": f"23840{n}", "level": "campaign", "valid_from": None, "valid_to": None}
            for n, p in enumerate(_PLATFORM_SHARE)
        ]  # fmt: skip
        return {
            "id": number, "name": self.names[number - 1], "status": ("active", "paused", "completed")[number % 3 - 1],
            "currency": "USD", "timezone": "Asia/Kolkata", "platforms": links, "budget": 3100, "budget_period": "monthly",
            "start_date": "2026-09-01", "end_date": None, "created_at": "2026-09-01T08:00:00Z", "updated_at": "2026-10-02T09:30:00Z",
        }  # fmt: skip

    def _system(self) -> dict[str, Any]:
        parts = [
            {"partition": n, "committed": 1200 * (n + 1), "end": 1200 * (n + 1) + (self.lag if n == 0 else 0),
             "lag_records": self.lag if n == 0 else 0, "lag_seconds": 0.431 if n == 0 and self.lag else 0.0}
            for n in range(4)
        ]  # fmt: skip
        lag = {
            "topic": "campaign-events",
            "group": "campaignctl-worker",
            "lag_records": self.lag,
            "lag_seconds": 0.431,
            "partitions": parts,
        }
        return {
            "version": "1.0.0", "lag": lag, "dependencies": _CHECKS, "dead_letters": {"records": len(self.letters)},
            "rates": {"window_seconds": 60.0, "appended_per_second": 812.5, "applied_per_second": 812.3},
        }  # fmt: skip

    def _insights(self, given: dict[str, str]) -> dict[str, Any]:
        first, last = date.fromisoformat(given["start_date"]), date.fromisoformat(given["end_date"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        shares = {"platform": _PLATFORM_SHARE, "region": _REGION_SHARE}.get(given.get("group_by", ""), {"": 1.0})
        rows, earlier = [], []
        for day in days:
            for group, share in shares.items():
                member = {given["group_by"]: group} if "group_by" in given else {}
                row = _figures(day, share * self.factor, live=day == last)
                rows.append(
                    {
                        **row,
                        **member,
                        "finality": "live"
                        if day == last
                        else "final"
                        if day < last - timedelta(days=28)
                        else "settling",
                    }
                )
                earlier.append({**_figures(day - timedelta(days=len(days)), share * 0.9), "change": {"spend": 0.12}})
        comparison = {
            "kind": given.get("compare"), "start_date": (first - timedelta(days=len(days))).isoformat(),
            "end_date": (first - timedelta(days=1)).isoformat(), "totals": {"roas": 3.0, "ctr": 0.02},
            "change": {"spend": 0.12, "revenue": 0.085, "conversions": 0.021, "clicks": -0.054, "impressions": 0.3}, "rows": earlier,
        }  # fmt: skip
        return {
            "rows": rows, "currency": "USD", "totals": _TOTALS, "comparison": comparison if "compare" in given else None, "next_cursor": None,
            "warnings": [{"code": "mixed_currency", "message": "EUR was converted"}], "freshness": _FRESHNESS,
        }  # fmt: skip


def _page(found: list[Any], given: dict[str, str]) -> dict[str, Any]:
    start, limit = int(given.get("cursor", 0)), int(given["limit"])
    return {
        "items": found[start : start + limit],
        "next_cursor": str(start + limit) if start + limit < len(found) else None,
    }


def _figures(day: date, share: float, *, live: bool = False) -> dict[str, Any]:
    wave = 1 + 0.35 * math.sin(day.toordinal() * 2 * math.pi / 7) + 0.15 * math.sin(day.toordinal() / 5)
    scale = share * wave * (0.5 if live else 1)
    return {
        "period_start": day.isoformat(), "period_end": day.isoformat(), "partial": False, "impressions": int(41_000 * scale),
        "clicks": int(900 * scale), "conversions": round(31.5 * scale, 2), "spend": round(812.25 * scale, 2),
        "revenue": round(2400.5 * scale, 2), "ctr": 0.0219, "cpc": 0.9, "cpm": 19.8, "cpa": None, "cvr": 0.035, "roas": 2.96,
        "source": "report",
    }  # fmt: skip


def _job(number: int, kind: str, status: str, done: int = 31) -> dict[str, Any]:
    over = status in ("partial", "failed", "succeeded")
    return {
        "job_id": number, "kind": kind, "status": status, "campaign_id": 1, "params": {"start_date": "2026-10-01", "end_date": "2026-10-31"},
        "progress": {"done": done, "total": 31, "unit": "days"}, "created_by": 1, "created_at": "2026-10-31T11:58:00Z",
        "result": {"rows_read": 120_044, "duplicates_collapsed": 17} if status == "partial" else None,
        "error": {"code": "platform_refused", "message": "meta refused the token\x1b[31m"} if status == "failed" else None,
        "started_at": None if status == "queued" else "2026-10-31T11:58:01Z", "finished_at": "2026-10-31T11:59:41Z" if over else None,
    }  # fmt: skip


def _letter(number: int) -> dict[str, Any]:
    code = ("invalid_value", "unknown_campaign", "malformed_json")[number % 3]
    text = {"invalid_value": "spend must be a decimal number such as 12.5", "unknown_campaign": "There is no campaign 999",
            "malformed_json": "The record is not valid JSON: it ends too early"}[code]  # fmt: skip
    broken = code == "malformed_json"
    return {
        "id": f"0-{number}", "code": code, "message": text, "source": "http" if number % 2 else "kafka",
        "value": None if broken else '{"event_id":"c-1","campaign_id":999,"platform":"[b]meta[/b]","spend":"12 dollars"}',
        "value_base64": "/wB7ImV2" if broken else None, "topic": "campaign-events", "partition": 0, "offset": number, "request_id": None,
        "index": None, "campaign_id": None if broken else 999, "length": None, "sha256": None,
        "at": (NOW - timedelta(minutes=41 - number)).isoformat(), "replay_of": None, "replayed_at": None,
    }  # fmt: skip


def _reconcile() -> dict[str, Any]:
    def metric(streamed: float, reported: float, *hints: str) -> dict[str, Any]:
        difference = streamed - reported
        return {"streamed": streamed, "reported": reported, "difference": difference, "relative": difference / reported,
                "within": abs(difference / reported) <= 0.05, "hints": list(hints)}  # fmt: skip

    items: list[dict[str, Any]] = [
        {"day": f"2026-10-{day:02d}", "platform": p, "covered": True, "finality": "settling", "fetched_at": "2026-10-31T06:00:00Z", "within": day != 29,
         "metrics": {"spend": metric(120.5, 118.25), "conversions": metric(40, 31, "attribution") if day == 29 else metric(31, 31)}}
        for day in range(27, 31) for p in ("google", "meta")
    ]  # fmt: skip
    items.append(
        {
            "day": "2026-10-31",
            "platform": "meta",
            "covered": False,
            "finality": "live",
            "fetched_at": None,
            "within": None,
            "metrics": {},
        }
    )
    return {
        "campaign_id": 1, "start_date": "2026-10-02", "end_date": "2026-10-31", "timezone": "Asia/Kolkata", "currency": "USD", "tolerance": 0.05,
        "within": False, "days_compared": 8, "days_outside": 2, "days_not_covered": 1, "unexplained": {}, "items": items,
    }  # fmt: skip


_TOTALS = {"spend": 12345.6, "revenue": 1.5e6, "roas": 3.21, "conversions": 33.5, "clicks": 12000, "ctr": 0.0231}
_CHECKS = {
    "metadata": {"status": "ok", "latency_ms": 0.8}, "analytics": {"status": "ok", "latency_ms": 3.1},
    "event_log": {"status": "ok", "latency_ms": 1.4}, "cache": {"status": "degraded", "latency_ms": 251.0, "detail": "the second level is away"},
    "worker": {"status": "ok", "latency_ms": 0.1},
}  # fmt: skip
_FRESHNESS = [
    {"campaign_id": 1, "campaign_name": "x", "platform": p, "last_event_at": at, "last_report_at": "2026-10-31T06:00:00Z", "age_seconds": age}
    for p, at, age in (("meta", "2026-10-31T12:00:01Z", 4.0), ("google", "2026-10-31T11:59:20Z", 45.0), ("tiktok", None, 21_605.0))
]  # fmt: skip
_PACING = {
    "campaign_id": 1, "at": "2026-10-31T12:00:00Z", "status": "active", "timezone": "Asia/Kolkata", "currency": "USD",
    "budget_period": "monthly", "start_date": "2026-10-01", "end_date": "2026-10-31", "days": {"total": 31, "elapsed": 30, "left": 1},
    "budget": 3100, "spend": 1820.5, "remaining": 1279.5, "percent": 58.725806, "expected": 3000, "daily": 118.4, "projected": 1938.9,
    "projection_method": "x", "flags": {"stopped": False, "stale": False, "overspending": False, "underspending": True},
    "last_data_at": "2026-10-31T12:00:01Z", "warnings": [{"code": "start_assumed", "message": "x"}],
}  # fmt: skip
_RESTATEMENTS = {
    "campaign_id": 1, "start_date": "2026-10-02", "end_date": "2026-10-31", "truncated": False,
    "items": [
        {"day": f"2026-10-{day:02d}", "platform": "meta", "account_id": "1002003", "level": "campaign", "external_id": "2384000",
         "metric": metric, "old": 120.5, "new": 118.25, "old_currency": "USD", "currency": "USD", "finality": "settling",
         "fetched_at": f"2026-10-{day + 2:02d}T06:00:00Z", "landed_at": f"2026-10-{day + 2:02d}T06:00:02Z",
         "cause": "platform", "old_definition": "meta-1", "definition": "meta-1"}
        for day in (20, 21, 22) for metric in ("spend", "revenue")
    ],
}  # fmt: skip
