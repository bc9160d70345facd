"""The clients of the ad platforms."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from campaignctl.adapters.ad_platforms.lazily import LazyPlatforms
from campaignctl.domain.platforms import Platform

if TYPE_CHECKING:
    from campaignctl.adapters.ad_platforms.client import Surroundings
    from campaignctl.config import Settings
    from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform, PlatformWatch
    from campaignctl.ports.clock import Clock


def ad_platforms(
    settings: "Settings", clock: "Clock", keep: "Callable[[AccountAccess], None]", watch: "PlatformWatch"
) -> "LazyPlatforms":
    """A client per platform, made when it is needed; ``keep`` stores credentials that a platform has renewed.

    ``watch`` is told of every request.
    """

    def around() -> "Surroundings":
        from campaignctl.adapters.ad_platforms.client import Surroundings

        dice = random.Random()  # noqa: S311  spreads retries, guards nothing
        return Surroundings(clock, dice, on_credentials=keep, watch=watch)

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


def definition_actions(settings: "Settings") -> Callable[[str], tuple[str, ...] | None]:
    """Tells what a version of a definition of conversions adds up, as far as it is known here."""

    def told(version: str) -> tuple[str, ...] | None:
        from campaignctl.adapters.ad_platforms.definitions import actions_of

        sections = {
            Platform.META: settings.meta,
            Platform.GOOGLE: settings.google,
            Platform.LINKEDIN: settings.linkedin,
            Platform.TIKTOK: settings.tiktok,
        }
        return actions_of(version, {name.value: one.conversion_actions for name, one in sections.items()})

    return told
