"""``python -m tests.chaos``: the table of faults, each server frozen and killed under load.

Needs the four servers in ``CA_TEST_...`` variables and the program that does faults to them in ``CA_TEST_SERVICES``. The
servers must belong to nobody else meanwhile.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.installation import installation
from tests.chaos.table import KINDS, SERVICES, Bench, Row, as_markdown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each fault lasts")
    parser.add_argument("--service", choices=SERVICES, action="append", help="only this one (may be repeated)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one (may be repeated)")
    given = parser.parse_args()
    faults = [(service, kind) for service in given.service or SERVICES for kind in given.kind or KINDS]
    with tempfile.TemporaryDirectory() as home, installation(Path(home)) as installed, Bench(installed) as bench:
        rows = bench.run(faults, given.seconds, _tell)
    print(as_markdown(rows))
    return int(any(row.lost or row.doubled or row.wrong_sums for row in rows))


def _tell(row: Row) -> None:
    print(" | ".join(row.cells()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
