"""Which organization something is done for."""

from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput
from campaignctl.ports.metadata import OrganizationStore

FIRST_NAME = "default"


def organization_of(actor: Actor, organizations: OrganizationStore) -> int:
    """The actor's organization; for the operator of the machine the only one there is, made when there is none yet.

    Raises ``InvalidInput`` that asks the operator to name one of several.
    """
    if actor.organization_id is not None:
        return actor.organization_id
    known = organizations.organizations()
    if len(known) == 1:
        return known[0].id
    if not known:  # a fresh installation on a laptop: whoever runs it need not register with themselves
        return organizations.ensure_organization(FIRST_NAME)
    shown = ", ".join(f"{one.id} is {one.name}" for one in known[:5]) + (", ..." if len(known) > 5 else "")
    raise InvalidInput.of("organization", f"there are {len(known)} ({shown}): name one with --organization N")
