"""Nothing is collected while much is imported, everything is afterwards."""

import subprocess
import sys

import pytest

_TELL = """
import gc
from campaignctl.cli.loading import loading
during = []
try:
    with loading():
        during.append(gc.isenabled())
        {body}
except ImportError:
    pass
with loading():
    during.append(gc.isenabled())
print(during, gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import campaignctl.bootstrap", "[False, True] True True"),
        ("import campaignctl.there_is_none", "[False, False] True True"),
    ],
    ids=["loaded once", "not there"],
)
def test_collections_stop_while_it_loads_and_go_on_afterwards(body: str, told: str) -> None:
    command = [sys.executable, "-c", _TELL.format(body=body)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told


def test_who_collects_by_hand_is_left_alone() -> None:
    code = "import gc; gc.disable()\nfrom campaignctl.cli.loading import loading\nwith loading(): pass\n"
    code += "print(gc.isenabled(), gc.get_freeze_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0"]
