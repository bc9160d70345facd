"""Where the servers' downloads and data lie, on which ports they listen, and what tests are told of it.

``SERVICES_DIR`` is the directory of both (below ``/var/tmp`` for root, as PostgreSQL's user must be able to enter it,
else below the user's cache); ``KAFKA_PORT``, ``CLICKHOUSE_PORT`` (HTTP), ``POSTGRES_PORT``, ``REDIS_PORT`` and
``ZOOKEEPER_PORT`` move a server elsewhere. ``SERVICES_SET`` names one more set of servers beside the usual one, with data
of its own and each port a hundred higher.
"""

import os
from pathlib import Path

DEFAULT: tuple[str, ...] = ("kafka", "clickhouse", "postgres", "redis")
"""What ``up`` starts when nothing is named. ZooKeeper is for checks of a cluster's tables only."""

_PORTS = {"kafka": 29092, "clickhouse": 28123, "postgres": 25432, "redis": 26379, "zookeeper": 22181}
KNOWN: tuple[str, ...] = tuple(_PORTS)
PROGRAM = Path(__file__).with_name("services")
DATABASE = USER = "campaign_analytics"
HOST = "127.0.0.1"


def other_set() -> str:
    """The name of the set that is meant; the usual one has none."""
    return os.environ.get("SERVICES_SET", "")


def port(name: str) -> int:
    return int(os.environ.get(f"{name.upper()}_PORT") or _PORTS[name] + 100 * bool(other_set()))


def home() -> Path:
    given = os.environ.get("SERVICES_DIR")
    if given:
        return Path(given).absolute()
    caches = Path("/var/tmp") if os.geteuid() == 0 else Path.home() / ".cache"
    return caches / "campaignctl-services"


def downloads() -> Path:
    """What was fetched once: versions are in the names, nothing in there is ever changed."""
    return home() / "lib"


def state(name: str = "") -> Path:
    """What a server has written; without a name, that of all of them."""
    return home() / "-".join(filter(None, ("state", other_set()))) / name


def variables(prefix: str) -> dict[str, str]:
    """The servers' places: for the product with the prefix ``CA_``, for tests with ``CA_TEST_``."""
    return {
        f"{prefix}KAFKA_BROKERS": f"{HOST}:{port('kafka')}",
        f"{prefix}CLICKHOUSE_HOST": HOST,
        f"{prefix}CLICKHOUSE_PORT": str(port("clickhouse")),
        f"{prefix}POSTGRES_HOST": HOST,
        f"{prefix}POSTGRES_PORT": str(port("postgres")),
        f"{prefix}POSTGRES_DATABASE": DATABASE,
        f"{prefix}POSTGRES_USERNAME": USER,
        f"{prefix}POSTGRES_PASSWORD": USER,
        f"{prefix}REDIS_ADDR": f"{HOST}:{port('redis')}",
    }


def test_variables() -> dict[str, str]:
    """All that tests are told: the places, and the program that does faults to them."""
    return {**variables("CA_TEST_"), "CA_TEST_SERVICES": str(PROGRAM)}
