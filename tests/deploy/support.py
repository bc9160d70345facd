"""What the checks of ``deploy/`` share."""

from pathlib import Path

from campaignctl.config.settings import keys
from campaignctl.config.sources import RESERVED

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"


def known_variables() -> set[str]:
    """Every ``CA_`` variable that means something."""
    return {key.env for key in keys()} | RESERVED
