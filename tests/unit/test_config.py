"""Settings: which value wins, what is refused, and that no error ever repeats a secret."""

from datetime import timedelta
from pathlib import Path

import pytest

from campaignctl.config import Settings, env_name, keys, load_settings
from campaignctl.config.values import format_duration
from campaignctl.errors import ConfigurationError

GOOD_KEY = "b7Qm0eWz4uYxT1nR8kLp5vJc2sHd9fGa"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def from_yaml(text: str, **environ: str) -> Settings:
    Path("settings.yaml").write_text(text, encoding="utf-8")
    return load_settings(Path("settings.yaml"), environ=environ)


def refused(text: str = "", **environ: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        from_yaml(text, **environ)
    return caught.value


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(environ={})
    assert settings.data_dir == Path(".campaignctl")
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8080, 1)
    assert (settings.postgres.host, settings.postgres.port, settings.postgres.database) == (
        "",
        5432,
        "campaign_analytics",
    )
    assert (settings.clickhouse.host, settings.clickhouse.port, settings.clickhouse.username) == ("", 8123, "default")
    assert (settings.redis.addr, settings.kafka.brokers) == ("", ())
    assert (settings.kafka.events_topic, settings.kafka.dead_letter_topic) == ("campaign-events", "campaign-events-dlq")
    assert (settings.events.retention_days, settings.events.dedup_window_days) == (400, 7)
    assert settings.events.max_record_bytes == 262_144
    assert settings.currency.max_rate_age_days == 7
    assert (settings.auth.registration, settings.auth.password_min_length) == ("open", 12)
    assert settings.lookback_days == {"meta": 28, "google": 30, "linkedin": 7, "tiktok": 7}
    assert settings.embedded
    assert settings.embedded_metadata and settings.embedded_analytics
    assert settings.embedded_cache and settings.embedded_event_log


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default() -> None:
    Path("settings.yaml").write_text("server: {host: 10.0.0.1, port: 1001, workers: 2}\n")
    environ = {"CA_SERVER_PORT": "1002", "CA_SERVER_WORKERS": "3"}
    settings = load_settings(
        Path("settings.yaml"), environ=environ, flags={"server.workers": 4, "server.metrics_port": None}
    )
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("10.0.0.1", 1002, 4)
    origins = [settings.origin(f"server.{name}") for name in ("host", "port", "workers", "metrics_port")]
    assert origins == ["settings.yaml", "CA_SERVER_PORT", "command line", "default"]


def test_the_default_file_is_read_when_it_is_there() -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text("log: {level: debug}\n")
    assert load_settings(environ={}).log.level == "debug"


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--config does not exist"):
        load_settings(tmp_path / "none.yaml", environ={})
    with pytest.raises(ConfigurationError, match="CA_CONFIG does not exist"):
        load_settings(environ={"CA_CONFIG": "none.yaml"})


def test_every_key_can_be_set_by_its_environment_name() -> None:
    samples = {int: "9", bool: "true", str: "text"}
    for key in keys():
        default = Settings().value(key.name)
        text = key.choices[0] if key.choices else samples.get(type(default), "")
        text = {
            "data_dir": "there",
            "clickhouse.port": "8443",
            "clickhouse.replicated": "false",
            "server.metrics_port": "9",
            "events.flush_rows": "9",
            "events.dedup_window_days": "8",
            "events.max_record_bytes": "2048",
            "kafka.max_record_bytes": "4000000",
            "auth.password_min_length": "14",
            "redis.addr": "cache:6379",
            "kafka.brokers": "a:9092,b:9092",
            "server.trusted_proxies": "10.0.0.0/8,::1",
            "jwt.access_ttl": "20m",
            "jwt.refresh_ttl": "7d",
            "fetch.recent_every": "5m",
        }.get(key.name, text)
        if key.secret:
            text = GOOD_KEY
        elif key.name.endswith("url"):
            text = "http://127.0.0.1:9999/x"
        elif key.name.endswith("conversion_actions"):
            text = "purchase, lead"
        settings = load_settings(environ={key.env: text})
        assert settings.value(key.name) != default or key.choices, key.name
        assert settings.origin(key.name) == key.env
        assert key.env == env_name(key.name)


def test_every_key_has_a_sentence() -> None:
    for key in keys():
        assert key.description.endswith("."), key.name


def test_lists_are_split_at_commas_and_an_empty_variable_is_no_value() -> None:
    assert load_settings(environ={"CA_KAFKA_BROKERS": "a:9092, b:9092"}).kafka.brokers == ("a:9092", "b:9092")
    assert from_yaml("kafka: {brokers: [a:9092, b:9092]}").kafka.brokers == ("a:9092", "b:9092")
    assert load_settings(environ={"CA_SERVER_PORT": ""}).server.port == 8080


def test_a_key_without_a_value_and_an_empty_section_leave_the_defaults() -> None:
    settings = from_yaml("postgres: {host, port: 6543}\nkafka:\n")
    assert (settings.postgres.host, settings.postgres.port) == ("", 6543)
    assert settings.origin("postgres.host") == "default"


@pytest.mark.parametrize(("text", "seconds"), [("900", 900), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_durations(text: str, seconds: int) -> None:
    settings = load_settings(environ={"CA_JWT_ACCESS_TTL": text})
    assert settings.jwt.access_ttl == timedelta(seconds=seconds)
    assert settings.jwt.access_ttl_s == seconds


def test_a_duration_is_shown_as_it_can_be_written() -> None:
    for text in ("90s", "15m", "12h", "30d"):
        settings = load_settings(environ={"CA_JWT_ACCESS_TTL": text})
        assert settings.shown("jwt.access_ttl") == text
    assert format_duration(timedelta(seconds=3_600)) == "1h"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafak: {}", "unknown section 'kafak' in settings.yaml; did you mean 'kafka'?"),
        ("kafka: {broker: []}", "unknown key 'kafka.broker' in settings.yaml; did you mean 'kafka.brokers'?"),
        ("jwt: {password_min_length: 9}", "did you mean 'auth.password_min_length'?"),
        ("kafka: {consumer: {group_id: x}}", "unknown key 'kafka.consumer'"),
        ("1: x", "unknown section '1'"),
        ("server: 8080", "section 'server' in settings.yaml must hold keys and values"),
        ("data_dir: {a: b}", "'data_dir' in settings.yaml must be one value"),
        ("- a", "must hold sections"),
        ("server: [unclosed", "settings.yaml, line 1, column"),
        ("server: {port: 80.5}", "server.port (settings.yaml): must be a whole number"),
        ("server: {port: 70000}", "server.port (settings.yaml): must be 65535 or less"),
        ("server: {host: no}", "put it in quotes"),
        ("server: {host: 'http://x'}", "server.host (settings.yaml): must be a host name"),
        ("clickhouse: {port: 9000}", "native port"),
        ("clickhouse: {port: 9440}", "native port"),
        ("redis: {addr: 'redis://localhost:6379'}", "must be host:port"),
        ("kafka: {brokers: [localhost]}", "must be host:port"),
        ("server: {trusted_proxies: [proxy.example]}", "must be an IP address or a network such as 10.0.0.0/8"),
        ("server: {trusted_proxies: [0.0.0.0/0]}", "must not be every address"),
        ("kafka: {dead_letter_topic: campaign-events}", "two different topics"),
        ("log: {level: loud}", "must be one of 'debug', 'info', 'warning' or 'error'"),
        ("jwt: {access_ttl: soon}", "a whole number of seconds"),
        ("jwt: {access_ttl: 40d}", "not longer than refresh_ttl"),
        ("events: {retention_days: 3}", "dedup_window_days must not be longer"),
        ("meta: {base_url: 'ftp://x'}", "must begin with http:// or https://"),
        ("server: {port: 1}\nserver: {port: 2}", "'server' stands twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text: str, said: str) -> None:
    assert said in refused(text).message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "CA_CLICKHOSE_HOST",
            "x",
            "CA_CLICKHOSE_HOST matches no configuration key; did you mean 'CA_CLICKHOUSE_HOST'?",
        ),
        ("CA_KAFKA_BROKER", "x", "did you mean 'CA_KAFKA_BROKERS'?"),
        ("CA_KAFKA", "{}", "CA_KAFKA matches no configuration key"),
        ("CA_TOKENS", "x", "did you mean 'CA_TOKEN'?"),
        ("CA_SERVER_PORT", "eighty", "server.port (CA_SERVER_PORT): must be a whole number"),
        ("CA_CLICKHOUSE_SECURE", "perhaps", "must be true or false"),
        ("CA_SERVER_WORKERS", "0", "server.workers (CA_SERVER_WORKERS): must be 1 or more"),
    ],
)
def test_what_is_wrong_in_the_environment_is_said(name: str, value: str, said: str) -> None:
    assert said in refused("", **{name: value}).message


def test_the_variables_of_the_command_line_and_of_tests_are_left_alone() -> None:
    load_settings(environ=dict.fromkeys(("CA_CONTEXT", "CA_OUTPUT", "CA_TOKEN", "CA_API_URL", "CA_TEST_X"), "x"))


def test_kubernetes_service_links_are_recognised() -> None:
    for name, value in (("CA_CLICKHOUSE_PORT", "tcp://10.0.0.1:8123"), ("CA_CLICKHOUSE_SERVICE_HOST", "10.0.0.1")):
        assert "enableServiceLinks: false" in refused("", **{name: value}).hint


@pytest.mark.parametrize(
    "key", ["short", "changeme-changeme-changeme-changeme", "a" * 40, "your-secret-key-0123456789-abcdef"]
)
def test_a_weak_or_placeholder_key_is_refused(key: str) -> None:
    for name in ("CA_JWT_KEY", "CA_SECRETS_KEY"):
        assert key not in str(refused("", **{name: key}))
    assert load_settings(environ={"CA_JWT_KEY": GOOD_KEY}).jwt.key.get_secret_value() == GOOD_KEY


SECRETS = {
    "CA_POSTGRES_PASSWORD": "pg-canary-8f1e",
    "CA_CLICKHOUSE_PASSWORD": "ch-canary-77aa",
    "CA_REDIS_PASSWORD": "redis-canary-5d21",
    "CA_KAFKA_SASL_PASSWORD": "kafka-canary-90c4",
    "CA_JWT_KEY": "jwt-canary-" + GOOD_KEY,
    "CA_SECRETS_KEY": "sec-canary-" + GOOD_KEY,
    "CA_SECRETS_PREVIOUS_KEYS": "earlier-canary-41b7,earlier-canary-88d2",
}


def test_no_way_of_showing_settings_shows_a_secret() -> None:
    settings = load_settings(environ=SECRETS)
    shown = [repr(settings), str(settings), str(settings.model_dump(mode="json")), settings.model_dump_json()]
    shown += [str(settings.shown(key.name)) for key in keys()]
    for text in shown:
        assert not [secret for secret in SECRETS.values() if secret in text]
    assert {settings.shown(key.name) for key in keys() if key.secret} == {"********"}


@pytest.mark.parametrize(
    "text",
    [
        "postgres: {password: [canary-1]}",
        "postgres: {password: {a: canary-1}}",
        "jwt: {key: canary-1}",
        "jwt: {key: 'changeme canary-1 0123456789 0123456789'}",
        "redis: {addr: 'redis://user:canary-1@host:1'}",
        "kafka: {brokers: ['user:canary-1@host:9092']}",
        "meta: {base_url: 'https://user:canary-1@host'}",
        "postgres: {host: 'user:canary-1@host'}",
        "postgres: {password: canary-1, pasword: canary-1}",
        "server: {port: canary-1}",
        "postgres:\n  password: canary-1\n bad",
        "secrets: canary-1",
    ],
)
def test_no_error_repeats_what_may_be_a_secret(text: str) -> None:
    error = refused(text)
    assert "canary-1" not in error.message + error.hint + repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_settings_made_in_code_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_SERVER_PORT", "1")
    Path("config").mkdir()
    Path("config/config.yaml").write_text("server: {port: 2}\n")
    assert Settings(data_dir=Path("here")).server.port == 8080


def test_the_example_file_shows_every_key_at_its_default() -> None:
    import yaml

    example = Path(__file__).parents[2] / "examples/config/config.yaml"
    shown = yaml.safe_load(example.read_text(encoding="utf-8"))
    flat = {
        f"{section}.{name}" if isinstance(values, dict) else section
        for section, values in shown.items()
        for name in (values if isinstance(values, dict) else [""])
    }
    assert flat == {key.name for key in keys()}
    settings = load_settings(example, environ={})
    for key in keys():
        assert settings.shown(key.name) == Settings().shown(key.name), key.name
