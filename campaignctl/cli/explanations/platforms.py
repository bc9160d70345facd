"""Errors of the ad platforms' reporting APIs."""

TOLD = {
    "platform_answer_invalid": (
        "A platform's answer is not what it documents.",
        "Its API changed, or something between it and here answered instead.",
        "look at the platform's status page and at PLATFORM.base_url and api_version in the configuration",
    ),
    "platform_failed": (
        "An ad platform did not give what it was asked for.",
        "The message says more.",
        "campaignctl accounts verify N asks the platform about the account",
    ),
    "platform_forbidden": (
        "The account's credentials hold, and do not allow this.",
        "A permission is missing, or was withdrawn on the platform.",
        "grant what campaignctl accounts verify N names, then fetch again",
    ),
    "platform_rejected": (
        "The platform says that the request is wrong.",
        "The account id is not one of these credentials, or days or fields are asked for that it does not have.",
        "campaignctl accounts verify N; the same request is never sent again by itself",
    ),
    "platform_sign_in_expired": (
        "The account's credentials no longer hold.",
        "The token has ended or was revoked, or the password changed. An account without credentials counts too.",
        "sign in to the platform again: campaignctl accounts update N --credentials FILE",
    ),
    "platform_throttled": (
        "A quota of the platform is used up.",
        "Too many calls, of this program or of others with the same credentials.",
        "wait: the fetch goes on by itself when the platform allows it, from where it was",
    ),
    "platform_unavailable": (
        "The platform cannot be reached, or failed.",
        "It is down or slow, or the way to it is broken.",
        "wait: a fetch is tried again by itself; otherwise campaignctl fetch --campaign N",
    ),
}
