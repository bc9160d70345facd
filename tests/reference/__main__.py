"""``python -m tests.reference`` writes the generated pages; ``--check`` names those that are not current, and fails."""

import sys

from tests.reference import outdated, write

if sys.argv[1:] == ["--check"]:
    stale = outdated()
    for path in stale:
        print(f"{path} is not what the program gives; run: make reference", file=sys.stderr)
    sys.exit(bool(stale))
write()
