"""Warnings that come with answers."""

TOLD = {
    "context_overridden": (
        "The context was chosen, and something more explicit comes before it.",
        "A flag or a variable of the environment names a server: --api, --context, CA_API_URL or CA_CONTEXT.",
        "unset the variable; campaignctl context current shows what is in effect",
    ),
    "erased_since": (
        "The backup has campaigns that were erased after it was made.",
        "The directory that the restored one replaces says so; a backup knows nothing of what came after it.",
        "campaignctl campaigns delete N for each, unless the replaced directory was of another installation",
    ),
    "key_not_kept": (
        "A key that the stores need is not in the backup.",
        "It is set in the configuration, and a backup has only the keys made in the data directory.",
        "keep the configuration, or that key, with the backup",
    ),
    "secret_not_set": (
        "A configuration is valid as far as it goes, and lacks a key that every process has to share.",
        "jwt.key or secrets.key is in neither the file nor the environment in which it was checked; on servers none is"
        " made.",
        "set it where the program runs: openssl rand -base64 48 makes one for CA_JWT_KEY or CA_SECRETS_KEY",
    ),
    "dedup_without_redis": (
        "A configuration remembers late events in Redis, and names no Redis.",
        "events.redis_dedup is true and redis.addr is empty.",
        "set redis.addr, or leave events.redis_dedup false",
    ),
    "schema_older": (
        "The restored stores have an older schema than this program.",
        "The backup was made before an upgrade.",
        "campaignctl init-schema",
    ),
    "breakdown_unavailable": (
        "The reports of some days cannot be split as asked.",
        "Platforms report by country at most; ad groups, ads and devices are known from the stream alone.",
        "group by platform or region, or ask with --source stream",
    ),
    "budget_of_all_platforms": (
        "Spend of single platforms is not held against the budget.",
        "A campaign's budget is one for all its platforms.",
        "ask without --platform",
    ),
    "divisor_not_positive": (
        "A ratio is null.",
        "What it is divided by is 0, or below it after corrections.",
        "nothing: without clicks there is no cost of a click",
    ),
    "missing_rate": (
        "An amount cannot be converted: that money, and the ratios built on it, are null.",
        "No rate into the asked currency is stored for its day, or for the few days before.",
        "campaignctl rates import FILE; the message names currency and days",
    ),
    "mixed_currency": (
        "Amounts in other currencies were converted.",
        "Events or accounts are in another currency than was asked for. The message names the rates.",
        "nothing, if the rates are right: campaignctl rates list",
    ),
    "no_budget": (
        "The campaign has no budget, so nothing is held against one.",
        "None was set.",
        "campaignctl campaigns update N --budget AMOUNT --budget-period total|daily|monthly",
    ),
    "no_full_days": (
        "Where spend will land cannot be told yet.",
        "The campaign has not run for a full day, or spend of a day of late cannot be told.",
        "ask again tomorrow",
    ),
    "open_end": (
        "What is expected, and where spend will land, cannot be told.",
        "A total budget without an end_date cannot be spread over days.",
        "campaignctl campaigns update N --end-date DATE",
    ),
    "raw_expired": (
        "Some days need raw records that are no longer kept; they are null.",
        "Hours, other time zones, as_of, ad groups, ads and devices come from raw records of events.retention_days.",
        "ask by day in the campaign's zone, by platform and region; those stay for good",
    ),
    "report_day_timezone": (
        "Reported days begin at another time than days of the asked zone.",
        "A platform reports days of its account's zone, which cannot be cut anew.",
        "ask in the account's zone, or with --source stream",
    ),
    "report_incomplete": (
        "On some days a native campaign ran that was never fetched, so the stream stands for all of the platform.",
        "A native campaign was linked later, or a fetch covered only some.",
        "campaignctl fetch --campaign N --start-date D --end-date D",
    ),
    "stale": (
        "This is the last answer to the same question, without what has come since.",
        "A store is away.",
        "campaignctl doctor says which; the age of the answer is in the header Age",
    ),
    "stale_data": (
        "There is no data as new as was wanted.",
        "Nothing was sent, nothing was fetched, or workers are behind.",
        "campaignctl lag, campaignctl freshness, campaignctl fetch --campaign N",
    ),
    "start_assumed": (
        "The campaign names no first day; the day it was made is taken for it.",
        "start_date is open.",
        "campaignctl campaigns update N --start-date DATE",
    ),
}
