"""Servers from package registries: Maven Central (Kafka, ZooKeeper), npm (ClickHouse's library), Debian (the others).

What is fetched is kept (see ``places.downloads``). Programs that are missing are installed with apt-get as root on
Debian; else the sentence says which one it is.
"""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.services import places

KAFKA = "4.3.0"
ZOOKEEPER = "3.9.3"
CHDB = "26.7.3-stable.1"
_DEBIAN = {"java": "openjdk-17-jre-headless", "mvn": "maven", "npm": "npm", "redis-server": "redis-server"}
_CHDB_PACKAGES = {"x86_64": "@chdb/lib-linux-x64-gnu", "aarch64": "@chdb/lib-linux-arm64-gnu"}
_POM = (
    "<project xmlns='http://maven.apache.org/POM/4.0.0'><modelVersion>4.0.0</modelVersion><groupId>x</groupId>"
    "<artifactId>x</artifactId><version>1</version><packaging>pom</packaging><dependencies>{}</dependencies></project>"
)
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def program(name: str) -> str:
    """Where the program is; installed when it is not there."""
    if shutil.which(name) is None:
        if name not in _DEBIAN:
            sys.exit(f"services: {name} is not installed")
        _install(_DEBIAN[name])
    found = shutil.which(name)
    if found is None:
        sys.exit(f"services: {_DEBIAN.get(name, name)} was installed, and {name} is still not there")
    return found


def kafka_jars() -> str:
    return _jars(f"kafka-{KAFKA}", f"org.apache.kafka:kafka_2.13:{KAFKA}")


def zookeeper_jars() -> str:
    return _jars(
        f"zookeeper-{ZOOKEEPER}",
        f"org.apache.zookeeper:zookeeper:{ZOOKEEPER}",
        "io.dropwizard.metrics:metrics-core:4.1.12.1",
        "org.xerial.snappy:snappy-java:1.1.10.5",
    )


def clickhouse_library() -> Path:
    """The whole server as a shared library."""
    library = places.downloads() / f"libchdb-{CHDB}.so"
    if not library.exists():
        package = _CHDB_PACKAGES.get(platform.machine())
        if package is None:
            sys.exit(f"services: there is no ClickHouse library for {platform.machine()}; use Docker")
        work = _empty(f"chdb.{os.getpid()}")
        command = [program("npm"), "pack", "--silent", f"{package}@{CHDB}"]
        subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(work.glob("*.tgz"))) as packed:
            packed.extract("package/libchdb.so", work)
        (work / "package" / "libchdb.so").replace(library)
        shutil.rmtree(work)
    return library


def postgres_programs() -> Path:
    """The directory of the newest PostgreSQL's programs, which Debian keeps off the path."""
    installed = Path("/usr/lib/postgresql")
    if not any(installed.glob("*/bin/postgres")):
        found = shutil.which("postgres")
        if found:
            return Path(found).parent
        _install("postgresql")
    return max(installed.glob("*/bin"), key=lambda path: int(path.parent.name))


def _jars(name: str, *artifacts: str) -> str:
    """The class path of the artifacts and everything they need."""
    program("java")
    jars = places.downloads() / name
    if not jars.exists():
        work = _empty(f"{name}.{os.getpid()}")
        (work / "pom.xml").write_text(_POM.format("".join(_DEPENDENCY.format(*one.split(":")) for one in artifacts)))
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={work / 'jars'}"]
        command = [program("mvn"), "-q", "-B", "-f", str(work / "pom.xml"), *copy]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (work / "jars").replace(jars)
        shutil.rmtree(work)
    return f"{jars}/*"


def _empty(name: str) -> Path:
    work = places.downloads() / f"{name}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def _install(package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"services: install {package} first (as root on Debian this program does it)")
    print(f"services: installing {package}", file=sys.stderr)
    # RUNLEVEL keeps a package from starting a server of its own.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
