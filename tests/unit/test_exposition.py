"""A worker's own port: figures, and its health beside them."""

import httpx2
import pytest

from campaignctl.exposition import Exposition, serve_metrics
from campaignctl.services.health import HealthReport, Status, Verdict
from server.listening import bind

_WELL = HealthReport(Status.OK, {"metadata": Verdict(Status.OK, 1.0)})
_DEGRADED = HealthReport(Status.DEGRADED, {"cache": Verdict(Status.FAILING, 1.0, "cannot be reached")})
_FAILING = HealthReport(Status.FAILING, {"analytics": Verdict(Status.FAILING, 2.0, "cannot be reached")})


@pytest.mark.parametrize(("report", "status"), [(_WELL, 200), (_DEGRADED, 200), (_FAILING, 503)])
def test_a_worker_answers_for_its_health(report: HealthReport, status: int) -> None:
    listener = bind("127.0.0.1", 0, "metrics_port")
    own = f"http://127.0.0.1:{listener.getsockname()[1]}"
    served = serve_metrics(listener, Exposition(lambda: report).text, lambda: report)
    try:
        for path in ("/health", "/health/ready"):
            answer = httpx2.get(own + path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["status"] == report.status
            assert answer.json()["checks"].keys() == report.checks.keys()
        live = httpx2.get(own + "/health/live")
        assert (live.status_code, live.json()) == (200, {"status": "ok", "checks": {}})
        assert httpx2.head(own + "/health/live").content == b""
        assert "campaignctl_dependency_up" in httpx2.get(own + "/metrics").text
        assert httpx2.get(own + "/health/other").status_code == 404
    finally:
        served.shutdown()
        served.server_close()


def test_where_nobody_answers_for_health_there_is_none() -> None:
    listener = bind("127.0.0.1", 0, "metrics_port")
    served = serve_metrics(listener, Exposition(lambda: _WELL).text)
    try:
        assert httpx2.get(f"http://127.0.0.1:{listener.getsockname()[1]}/health/live").status_code == 404
    finally:
        served.shutdown()
        served.server_close()
