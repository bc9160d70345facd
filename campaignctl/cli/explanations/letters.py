"""Why records are refused: the reason codes of dead letters and of ``rejected`` in POST /events."""

_SEE = "campaignctl dlq list; correct what sends them; then campaignctl dlq replay, or send the events again"

TOLD = {
    "event_time_in_future": (
        "The event's time is more than 24 hours after its record came.",
        "The sender's clock is wrong, or milliseconds were taken for something else.",
        _SEE,
    ),
    "event_time_too_old": (
        "The event's time lies before what is kept (events.retention_days).",
        "A backfill reaches too far back, or seconds were sent where milliseconds are meant.",
        _SEE,
    ),
    "invalid_region": (
        "The region is neither a country (IN) nor a subdivision (US-CA) of ISO 3166.",
        "A name or a platform's own code was sent.",
        _SEE,
    ),
    "invalid_type": (
        "A field has the wrong JSON type.",
        "A number was sent as a string, a fraction where a whole number belongs, or the record is no object.",
        _SEE,
    ),
    "invalid_value": (
        "A field has the right type and a value that is not allowed.",
        "Something is negative, too large, too long, has too many places, or is a word that is not known.",
        _SEE,
    ),
    "malformed_json": (
        "The record is no JSON.",
        "It was cut off, is not UTF-8, holds a lone surrogate, or is nested deeper than 128 levels.",
        _SEE,
    ),
    "missing_field": (
        "A field that is needed is missing.",
        "event_id, campaign_id, platform and event_time are; null and an empty string count as missing.",
        _SEE,
    ),
    "quarantined": (
        "Processes died while they read the record.",
        "It meets a fault of the program; two workers and a process that looked at it alone ended over it.",
        "keep what campaignctl dlq show ID --raw prints, and report it; after a fix: campaignctl dlq replay ID",
    ),
    "too_large": (
        "The record, or the body of the request, is larger than the bound.",
        "A record takes 256 KiB (events.max_record_bytes), a body 8 MiB and 32 MiB unpacked.",
        "send smaller records, or fewer in one request",
    ),
    "unknown_campaign": (
        "There is no campaign of this number.",
        "It is of another installation or organization, was erased, or the number is another system's.",
        "campaignctl campaigns list; create it, then campaignctl dlq replay --reason unknown_campaign",
    ),
    "unknown_platform": (
        "The platform is none of meta, google, linkedin and tiktok.",
        "Another name for it was sent.",
        _SEE,
    ),
}
