"""The clients of the ad platforms."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from campaignctl.adapters.ad_platforms.lazily import LazyPlatforms
from campaignctl.domain.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaignctl.adapters.ad_platforms.client import Surroundings
    from campaignctl.adapters.ad_platforms.definitions import Configured
    from campaignctl.config import Settings
    from campaignctl.domain.conversions import Definition
    from campaignctl.ports.ad_platforms import AdPlatform, KeepCredentials, PlatformWatch, StoredCredentials
    from campaignctl.ports.clock import Clock
    from campaignctl.services.conversions import Vocabularies


def ad_platforms(
    settings: "Settings", clock: "Clock", keep: "KeepCredentials", stored: "StoredCredentials", watch: "PlatformWatch"
) -> "LazyPlatforms":
    """A client per platform, made when it is needed; ``keep`` stores credentials that a platform has renewed.

    ``stored`` tells those that are stored by now. ``watch`` is told of every request.
    """

    def around() -> "Surroundings":
        from campaignctl.adapters.ad_platforms.client import Surroundings

        dice = random.Random()  # noqa: S311  spreads retries, guards nothing
        return Surroundings(clock, dice, on_credentials=keep, stored_credentials=stored, watch=watch)

    def meta() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.meta import MetaAds

        asked = settings.meta
        return MetaAds(
            base_url=asked.base_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def google() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.google import GoogleAds

        asked = settings.google
        return GoogleAds(
            base_url=asked.base_url,
            token_url=asked.token_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def tiktok() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.tiktok import TikTokAds

        asked = settings.tiktok
        return TikTokAds(
            base_url=asked.base_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def linkedin() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.linkedin import LinkedInAds

        asked = settings.linkedin
        return LinkedInAds(
            base_url=asked.base_url,
            token_url=asked.token_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    clients = {Platform.META: meta, Platform.GOOGLE: google, Platform.LINKEDIN: linkedin, Platform.TIKTOK: tiktok}
    return LazyPlatforms(clients)


def definition_actions(
    settings: "Settings", chosen: Callable[[str], tuple[str, ...] | None]
) -> Callable[[str], tuple[str, ...] | None]:
    """Tells what a version of a definition of conversions adds up, as far as it is known.

    ``chosen`` knows those that were chosen for accounts.
    """

    def told(version: str) -> tuple[str, ...] | None:
        from campaignctl.adapters.ad_platforms.definitions import actions_of

        lists = {platform.value: names for platform, names in _configured_lists(settings).items()}
        return actions_of(version, lists) or chosen(version)

    return told


class _LazyVocabularies:
    """``Vocabularies`` whose module is read when it is needed: most processes never ask."""

    def __init__(self, settings: "Settings") -> None:
        self._lists = _configured_lists(settings)

    def _configured(self) -> "Configured":
        from campaignctl.adapters.ad_platforms.definitions import Configured

        return Configured(self._lists)

    def chosen(self, platform: Platform, actions: "Sequence[str]", /) -> "Definition":
        return self._configured().chosen(platform, actions)

    def known(self, platform: Platform, /) -> tuple[str, ...] | None:
        return self._configured().known(platform)

    def is_configured(self, platform: Platform, /) -> bool:
        return self._configured().is_configured(platform)


def vocabularies(settings: "Settings") -> "Vocabularies":
    """What the platforms call conversions, with the lists that are configured."""
    return _LazyVocabularies(settings)


def _configured_lists(settings: "Settings") -> "dict[Platform, tuple[str, ...]]":
    return {
        Platform.META: tuple(settings.meta.conversion_actions),
        Platform.GOOGLE: tuple(settings.google.conversion_actions),
        Platform.LINKEDIN: tuple(settings.linkedin.conversion_actions),
        Platform.TIKTOK: tuple(settings.tiktok.conversion_actions),
    }
