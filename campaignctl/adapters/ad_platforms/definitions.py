"""What counts as a conversion: a versioned default per platform, or an explicit list of the user's.

A platform tells the same conversion under several names, one within the other. So nothing is ever summed but a list of
names, and of two names in one list of which one contains the other only the containing one counts.

A version stands with every row that was counted by it. The default's changes when its list does; an explicit list's is
derived from the list.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from campaignctl.domain.conversions import Definition
from campaignctl.domain.platforms import Platform
from campaignctl.errors import ConfigurationError, PlatformRejected
from campaignctl.ports.ad_platforms import AccountAccess

_DIGEST_BYTES = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that a platform has for conversions."""

    platform: str
    default: Definition
    known: frozenset[str] | None = None
    """All names there are; None: the platform's own objects give more of them."""
    contains: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A name to those that it counts as well."""
    most: int = 100
    """How many names a list may have."""

    def chosen(self, actions: Sequence[str]) -> Definition:
        """The definition that an explicit list makes; the default for none. ``ValueError`` says what is wrong."""
        if not actions:
            return self.default
        unknown = [name for name in actions if self.known is not None and name not in self.known]
        if unknown:
            raise ValueError(
                f"{self.platform} has no such conversion action; it has {', '.join(sorted(self.known or ()))}"
            )
        if len(set(actions)) > self.most:
            raise ValueError(f"{self.platform} takes at most {self.most} conversion actions in a list")
        within = frozenset[str]().union(*(self.contains.get(name, frozenset()) for name in actions))
        counted = tuple(sorted(set(actions) - within))
        digest = hashlib.blake2b("\0".join(counted).encode(), digest_size=_DIGEST_BYTES).hexdigest()
        return Definition(f"{self.platform}-list-{digest}", counted)


class Definitions:
    """The definition of each account: its own list, else the configured one, else the platform's default."""

    def __init__(self, vocabulary: Vocabulary, configured: Sequence[str]) -> None:
        self._vocabulary = vocabulary
        try:
            self.general = vocabulary.chosen(configured)
            """Of accounts without a list of their own."""
        except ValueError as error:
            raise ConfigurationError(f"{vocabulary.platform}.conversion_actions: {error}") from None

    def of(self, access: AccountAccess) -> Definition:
        if not access.conversion_actions:
            return self.general
        try:
            return self._vocabulary.chosen(access.conversion_actions)
        except ValueError as error:
            raise PlatformRejected(
                f"the account's conversion actions: {error}",
                platform=access.platform,
                account_id=access.account_id,
            ) from None


_META_PURCHASES = frozenset(
    {
        "offsite_conversion.fb_pixel_purchase",
        "onsite_conversion.purchase",
        "onsite_web_purchase",
        "onsite_web_app_purchase",
        "onsite_app_purchase",
        "app_custom_event.fb_mobile_purchase",
        "web_in_store_purchase",
        "web_app_in_store_purchase",
        "offline_conversion.purchase",
    }
)
_META_LEADS = frozenset(
    {"offsite_conversion.fb_pixel_lead", "onsite_conversion.lead_grouped", "onsite_web_lead", "leadgen_grouped"}
)

META = Vocabulary(
    "meta",
    # On the platform's own pages, and by its pixel elsewhere: no conversion is in two of these.
    Definition(
        "meta-1",
        (
            "offsite_conversion.fb_pixel_custom",
            "offsite_conversion.fb_pixel_lead",
            "offsite_conversion.fb_pixel_purchase",
            "onsite_conversion.lead_grouped",
            "onsite_conversion.purchase",
        ),
    ),
    contains={
        "omni_purchase": _META_PURCHASES | {"purchase"},
        "purchase": _META_PURCHASES,
        "lead": _META_LEADS,
    },
)
"""Names are those of ``action_type``; custom conversions have names of their own."""

GOOGLE = Vocabulary(
    "google",
    Definition("google-1", ("conversions",)),
    known=frozenset({"conversions", "all_conversions"}),
    contains={"all_conversions": frozenset({"conversions"})},
)

LINKEDIN = Vocabulary(
    "linkedin",
    Definition("linkedin-1", ("externalWebsiteConversions", "oneClickLeads")),
    known=frozenset(
        {
            "externalWebsiteConversions",
            "externalWebsitePostClickConversions",
            "externalWebsitePostViewConversions",
            "oneClickLeads",
        }
    ),
    contains={
        "externalWebsiteConversions": frozenset(
            {"externalWebsitePostClickConversions", "externalWebsitePostViewConversions"}
        )
    },
)

TIKTOK = Vocabulary(
    "tiktok",
    Definition("tiktok-1", ("conversion",)),
    known=frozenset({"conversion", "real_time_conversion", "result"}),
    most=1,  # each dates the same conversions in its own way
)


def actions_of(version: str, configured: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """The names that a version of a definition adds up: a platform's default, or the list configured for it.

    None for the lists of single accounts, which the metadata store keeps, and for what was configured before.
    """
    for vocabulary in (META, GOOGLE, LINKEDIN, TIKTOK):
        if version == vocabulary.default.version:
            return vocabulary.default.actions
        if version.startswith(f"{vocabulary.platform}-list-"):
            chosen = Definitions(vocabulary, configured.get(vocabulary.platform, ())).general
            return chosen.actions if chosen.version == version else None
    return None


VOCABULARIES: Mapping[Platform, Vocabulary] = {
    Platform.META: META,
    Platform.GOOGLE: GOOGLE,
    Platform.LINKEDIN: LINKEDIN,
    Platform.TIKTOK: TIKTOK,
}


class Configured:
    """``services.conversions.Vocabularies``, with the lists that are configured for the platforms."""

    def __init__(self, lists: Mapping[Platform, Sequence[str]]) -> None:
        self._lists = lists

    def chosen(self, platform: Platform, actions: Sequence[str], /) -> Definition:
        vocabulary = VOCABULARIES[platform]
        return vocabulary.chosen(actions) if actions else Definitions(vocabulary, self._lists[platform]).general

    def known(self, platform: Platform, /) -> tuple[str, ...] | None:
        known = VOCABULARIES[platform].known
        return None if known is None else tuple(sorted(known))

    def is_configured(self, platform: Platform, /) -> bool:
        return bool(self._lists[platform])
