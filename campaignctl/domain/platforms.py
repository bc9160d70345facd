"""The four ad platforms, and how what they name is compared.

People write an account's id as they saw it: ``act_123`` in an address, ``123-456-7890`` at the top of a page,
``urn:li:sponsoredAccount:123`` in an answer. Links keep what was written; whatever is compared is compared by key.
"""

import re
from enum import StrEnum


class Platform(StrEnum):
    META = "meta"
    GOOGLE = "google"
    LINKEDIN = "linkedin"
    TIKTOK = "tiktok"


_ACCOUNT_FORMS: dict[str, re.Pattern[str]] = {
    Platform.META: re.compile(r"act_(.+)"),
    Platform.LINKEDIN: re.compile(r"urn:li:sponsoredAccount:([0-9]+)"),
}
_NATIVE_FORMS: dict[tuple[str, str], re.Pattern[str]] = {
    (Platform.GOOGLE, "campaign"): re.compile(r"customers/[0-9]+/campaigns/([0-9]+)"),
    (Platform.LINKEDIN, "campaign"): re.compile(r"urn:li:sponsoredCampaign:([0-9]+)"),
    (Platform.LINKEDIN, "campaign_group"): re.compile(r"urn:li:sponsoredCampaignGroup:([0-9]+)"),
}
_GOOGLE_ACCOUNT = re.compile(r"[0-9][0-9 -]*")


def account_key(platform: str, account_id: str) -> str:
    """The account's id as it is compared: without ``act_`` (Meta), hyphens (Google) or its URN (LinkedIn)."""
    text = account_id.strip()
    if platform == Platform.GOOGLE and _GOOGLE_ACCOUNT.fullmatch(text):
        return text.replace("-", "").replace(" ", "")
    return _inner(_ACCOUNT_FORMS.get(platform), text)


def native_key(platform: str, level: str, external_id: str) -> str:
    """The native campaign's id as it is compared: of a URN or a resource name of its ``level`` only the number."""
    return _inner(_NATIVE_FORMS.get((platform, level)), external_id.strip())


def _inner(form: re.Pattern[str] | None, text: str) -> str:
    found = form.fullmatch(text) if form else None
    return found[1] if found else text
