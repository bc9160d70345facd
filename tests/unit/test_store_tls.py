"""What the configuration says of TLS reaches the adapters of ClickHouse and Redis."""

from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.analytics import cluster_store, server
from campaignctl.adapters.cache import redis
from campaignctl.bootstrap import stores
from campaignctl.config import load_settings
from campaignctl.errors import ConfigurationError

PLACES = {
    "CA_CLICKHOUSE_HOST": "clickhouse",
    "CA_REDIS_ADDR": "redis:6379",
    "CA_JWT_KEY": "Zx81-Qm27-Lw93-Rt64-Yp05-Bn38-Vk16-Hd72",
}


class OpenedError(Exception):
    """With what something would have been opened."""


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.touch()
    return file


def _opening(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
    def opened(*given: Any, **named: Any) -> None:
        raise OpenedError(given, named)

    monkeypatch.setattr(place, name, opened)


@pytest.mark.parametrize(
    ("cluster", "place", "name"), [("", server, "open_clickhouse"), ("c", cluster_store, "open_cluster")]
)
def test_clickhouses_authority(
    monkeypatch: pytest.MonkeyPatch, authority: Path, cluster: str, place: Any, name: str
) -> None:
    _opening(monkeypatch, place, name)
    tls = {"CA_CLICKHOUSE_SECURE": "true", "CA_CLICKHOUSE_SSL_CA_FILE": str(authority)}
    settings = load_settings(environ=PLACES | tls | {"CA_CLICKHOUSE_CLUSTER": cluster})
    with pytest.raises(OpenedError) as opened:
        stores._open_analytics(settings)
    given, named = opened.value.args
    assert given[-1] is True
    assert named["ca_file"] == str(authority)


def test_redis(monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    _opening(monkeypatch, redis, "RedisCache")
    plain = load_settings(environ=PLACES)
    secure = load_settings(environ=PLACES | {"CA_REDIS_SECURE": "true", "CA_REDIS_SSL_CA_FILE": str(authority)})
    for settings, expected in ((plain, (False, "")), (secure, (True, str(authority)))):
        with pytest.raises(OpenedError) as opened:
            stores._open_cache(settings)
        named = opened.value.args[1]
        assert (named["tls"], named["tls_ca_file"]) == expected


@pytest.mark.parametrize("section", ["clickhouse", "redis"])
def test_a_file_that_is_not_there_is_named(section: str) -> None:
    key = f"{section}.ssl_ca_file"
    settings = load_settings(environ=PLACES | {f"CA_{section.upper()}_SSL_CA_FILE": "no-such.pem"})
    with pytest.raises(ConfigurationError, match=f"{key}: no-such.pem is not there"):
        (stores._open_analytics if section == "clickhouse" else stores._open_cache)(settings)
