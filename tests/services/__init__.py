"""Kafka, ClickHouse, PostgreSQL and Redis for tests, on loopback: from Docker Compose where an engine answers, else from
packages (Maven Central, npm, Debian) in processes of this user. For development only: no passwords, one node each.

``tests/services/services`` is the program; ``make services`` and ``make integration`` call it. It needs nothing but
Python's standard library, because it runs before there is an environment.
"""
