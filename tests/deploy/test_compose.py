"""The compose files against the program's configuration and against themselves."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from campaignctl.cli.stopping import STOP_WITHIN_S
from campaignctl.config import load_settings
from campaignctl.config.settings import env_name
from campaignctl.sandbox.server import base_urls
from tests.deploy.support import DEPLOY, REPOSITORY, known_variables
from tests.deploy.test_docker import environment, whole

COMPOSE = DEPLOY / "compose"
STORES = {"kafka", "clickhouse", "postgres", "redis"}
PROGRAMS = {"init-schema", "api", "worker"}
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def variables_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def filled(value: Any, variables: dict[str, str]) -> Any:
    """The value with ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` replaced; a missing one is an error."""
    if isinstance(value, dict):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        assert kind == ":-", f"{name} is not set: {rest}"
        return str(rest)

    return _VARIABLE.sub(replace, value)


def services(*overrides: str, variables: dict[str, str] | None = None) -> dict[str, Any]:
    """The services of compose.yaml with overrides laid on it, as Compose merges mappings."""
    variables = variables_of(COMPOSE / "development.env") if variables is None else variables
    merged: dict[str, Any] = {}
    for name in ("compose.yaml", *overrides):
        _merge(merged, filled(yaml.safe_load((COMPOSE / name).read_text()), variables)["services"])
    return merged


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            into[key] = dict(into[key])
            _merge(into[key], value)
        else:
            into[key] = value


VARIANTS = [(), ("ports.yaml",), ("production.yaml",), ("sandbox.yaml",)]


@pytest.mark.parametrize("overrides", VARIANTS)
def test_the_program_takes_what_it_is_given(overrides: tuple[str, ...]) -> None:
    found = services(*overrides)
    for name in PROGRAMS:
        given = found[name]["environment"]
        assert given.keys() <= known_variables()
        assert all(isinstance(value, str) for value in given.values()), "YAML reads a bare number as one"
        settings = load_settings(environ=environment("api" if name == "api" else "worker") | given)
        assert not settings.embedded
        assert settings.clickhouse.host in STORES
        assert settings.postgres.host in STORES
        assert {broker.partition(":")[0] for broker in (*settings.kafka.brokers, settings.redis.addr)} <= STORES
    of_api = load_settings(environ=environment("api") | found["api"]["environment"])
    partitions = {services(*overrides)[name]["environment"]["CA_KAFKA_EVENTS_PARTITIONS"] for name in PROGRAMS}
    assert len(partitions) == 1
    assert found["worker"]["deploy"]["replicas"] <= of_api.kafka.events_partitions
    clickhouse, postgres = found["clickhouse"]["environment"], found["postgres"]["environment"]
    assert clickhouse["CLICKHOUSE_USER"] == of_api.clickhouse.username
    assert clickhouse["CLICKHOUSE_PASSWORD"] == of_api.clickhouse.password.get_secret_value()
    assert postgres["POSTGRES_USER"] == of_api.postgres.username
    assert postgres["POSTGRES_PASSWORD"] == of_api.postgres.password.get_secret_value()
    assert postgres["POSTGRES_DB"] == of_api.postgres.database
    assert found["redis"]["environment"]["REDISCLI_AUTH"] == of_api.redis.password.get_secret_value()
    assert f"//:{of_api.kafka.brokers[0].rpartition(':')[2]}" in found["kafka"]["environment"]["KAFKA_LISTENERS"]


@pytest.mark.parametrize("overrides", VARIANTS)
def test_everything_has_limits_health_and_an_order(overrides: tuple[str, ...]) -> None:
    found = services(*overrides)
    assert found.keys() - {"sandbox"} == STORES | PROGRAMS | {"prometheus", "grafana"}
    for name, service in found.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["restart"] in {"unless-stopped", "on-failure"}, name
        assert re.fullmatch(r"[\w./-]+:(?!latest$)[\w.-]+", service["image"]), name
        if name in {"api", "worker"}:  # the image's own
            assert any(word == "HEALTHCHECK" for word, _ in whole(name))
            seconds = int(service["stop_grace_period"].removesuffix("s"))
            assert seconds >= STOP_WITHIN_S + 5
        elif name != "init-schema":
            assert service["healthcheck"]["test"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens on every address"
    for name in PROGRAMS:
        after = found[name]["depends_on"]
        healthy = {other for other in after if after[other] == {"condition": "service_healthy"}}
        assert healthy - {"api"} == STORES
        assert name == "init-schema" or after["init-schema"] == {"condition": "service_completed_successfully"}
        assert found[name]["read_only"] is True
        assert found[name]["cap_drop"] == ["ALL"]


def test_ports_are_those_that_programs_listen_on() -> None:
    found = services()
    (port,) = found["api"]["ports"]
    assert port.rpartition(":")[2] == environment("api")["CA_SERVER_PORT"]
    scraped = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())
    assert scraped["rule_files"] == ["rules.yml"]
    (job,) = scraped["scrape_configs"]
    assert job["job_name"] == "campaignctl"
    targets = {name: one["port"] for one in job["dns_sd_configs"] for name in one["names"]}
    assert targets == {name: int(environment(name)["CA_SERVER_METRICS_PORT"]) for name in ("api", "worker")}


def test_the_sandbox_is_where_the_program_looks_for_the_platforms() -> None:
    found = services("sandbox.yaml")
    for name in ("api", "worker"):
        expected = {env_name(key): url for key, url in base_urls("http://127.0.0.1:8090").items()}
        assert expected.items() <= found[name]["environment"].items()
    alone = {name for name in found if found[name].get("network_mode") == "service:api"}
    assert alone == {"worker", "sandbox"}
    assert found["worker"]["deploy"]["replicas"] == 1, "two would want the same port"
    assert found["api"]["networks"]["default"]["aliases"] == ["worker"]


def test_no_password_stands_outside_the_file_for_development() -> None:
    for path in COMPOSE.rglob("*.y*ml"):
        for name, value in re.findall(r"(?m)^\s*(\w*(?:PASSWORD|KEY|AUTH)\w*):\s*(\S.*)$", path.read_text()):
            assert value.startswith("${") or name.startswith("CA_AUTH_"), f"{path.name}: {name}"
    development = variables_of(COMPOSE / "development.env")
    assert "DEVELOPMENT ONLY" in (COMPOSE / "development.env").read_text().splitlines()[0]
    assert all(value.startswith("development-only") for value in development.values())
    for name in development:
        with pytest.raises(AssertionError, match=f"{name} is not set"):
            services(variables={other: value for other, value in development.items() if other != name})
    told = re.search(r"for name in ([A-Z_ ]+); do", (COMPOSE / "README.md").read_text())
    assert told is not None
    assert set(told.group(1).split()) == development.keys()


def test_a_checkout_reaches_the_stores() -> None:
    given = variables_of(COMPOSE / "checkout.env") | variables_of(COMPOSE / "development.env")
    own = {name: value for name, value in given.items() if name.startswith("CA_")}
    assert own.keys() <= known_variables()
    settings = load_settings(environ=own)
    assert not settings.embedded
    published = {
        name: int(port.rpartition(":")[2]) for name in STORES for port in services("ports.yaml")[name]["ports"]
    }
    assert published == {
        "kafka": int(settings.kafka.brokers[0].rpartition(":")[2]),
        "clickhouse": settings.clickhouse.port,
        "postgres": settings.postgres.port,
        "redis": int(settings.redis.addr.rpartition(":")[2]),
    }
    advertised = services("ports.yaml")["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"HOST://{settings.kafka.brokers[0]}" in advertised


def test_what_is_mounted_and_built_is_there() -> None:
    found = services()
    declared = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["volumes"].keys()
    used = set()
    for name, service in found.items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (COMPOSE / source).exists(), f"{name}: {source}"
            else:
                used.add(source)
        if build := service.get("build"):
            assert (COMPOSE / build["context"]).resolve() == REPOSITORY
            assert (REPOSITORY / build["dockerfile"]).is_file()
            assert service["image"].startswith(f"campaignctl-{build['target']}:")
    assert used == declared
