"""What counts as a conversion in an account: who may choose it, and the job that applies a choice to what is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.domain.conversions import ChosenDefinition, Definition, DefinitionOrigin
from campaignctl.domain.jobs import Job, JobKind
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput
from campaignctl.ports.accounts import AccountStore
from campaignctl.ports.jobs import NewJob
from campaignctl.services.accounts import AccountService
from campaignctl.services.jobs import JobService

_SHOWN = 20
"""Choices that are shown of an account."""


class Vocabularies(Protocol):
    """What the platforms call conversions."""

    def chosen(self, platform: Platform, actions: Sequence[str], /) -> Definition:
        """What a list comes to; none: what is configured, else the platform's default.

        ``ValueError`` says what is wrong with it.
        """
        ...

    def known(self, platform: Platform, /) -> tuple[str, ...] | None:
        """All names that the platform has; None where its own objects give more of them."""
        ...

    def is_configured(self, platform: Platform, /) -> bool:
        """Whether a list of the configuration stands in the place of the platform's default."""
        ...


@dataclass(frozen=True, slots=True)
class AccountConversions:
    """What counts in an account now, and what was chosen for it, the latest first."""

    account: PlatformAccount
    definition: Definition
    origin: DefinitionOrigin
    known: tuple[str, ...] | None
    history: Sequence[ChosenDefinition]


class ConversionService:
    """Another organization's account does not exist for the actor."""

    def __init__(
        self, metadata: AccountStore, accounts: AccountService, jobs: JobService, vocabularies: Vocabularies
    ) -> None:
        self._metadata = metadata
        self._accounts = accounts
        self._jobs = jobs
        self._vocabularies = vocabularies

    def of(self, account_id: int, actor: Actor) -> AccountConversions:
        account = self._accounts.get(account_id, actor)
        history = self._metadata.chosen_definitions(account.id, _SHOWN)
        own = history[0].definition if history and history[0].is_own else None
        if own is not None:
            origin = DefinitionOrigin.ACCOUNT
        elif self._vocabularies.is_configured(account.platform):
            origin = DefinitionOrigin.CONFIGURATION
        else:
            origin = DefinitionOrigin.DEFAULT
        return AccountConversions(
            account,
            own or self._vocabularies.chosen(account.platform, ()),
            origin,
            self._vocabularies.known(account.platform),
            history,
        )

    def replace(self, account_id: int, actions: Sequence[str], actor: Actor) -> Job:
        """Let these names count from now on, none: what is configured; the job applies it to what was fetched.

        ``Forbidden`` below operator, ``InvalidInput`` for names that the platform does not have.
        """
        account = self._accounts.get(account_id, actor)
        actor.require(Role.OPERATOR)
        try:
            definition = self._vocabularies.chosen(account.platform, actions)
        except ValueError as error:
            raise InvalidInput.of("actions", f"cannot count: {error}") from None
        known = self.of(account_id, actor)
        is_own = bool(actions)
        if (known.definition, known.origin is DefinitionOrigin.ACCOUNT) != (definition, is_own):
            self._metadata.choose_definition(account.id, definition, is_own=is_own)
        new = NewJob(
            JobKind.REDERIVE,
            account.organization_id,
            {"account": account.id, "definition": definition.version, "actions": list(definition.actions)},
            created_by=actor.user_id,
            unit="windows",
            join_key=f"{account.id}:{definition.version}",
        )
        return self._jobs.submit(new, actor)
