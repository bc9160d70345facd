"""``python -m tests.chaos.mortal``: the program, as it would be if some records ended any process that reads them."""

from functools import partial

import worker.lifecycle
from campaignctl.__main__ import main
from tests.e2e.killing import be_mortal, look
from worker.probe import Probe

if __name__ == "__main__":
    be_mortal()
    worker.lifecycle.Probe = partial(Probe, look=look)  # type: ignore[misc,assignment]
    main()
