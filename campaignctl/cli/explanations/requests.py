"""Errors of what was asked of the API, by a program or by a command."""

TOLD = {
    "account_taken": (
        "The organization has this account already.",
        "An account on a platform is connected once, however its id is spelled.",
        "campaignctl accounts list; change it with campaignctl accounts update N",
    ),
    "campaign_has_events": (
        "Currency and time zone of a campaign cannot change once it has events.",
        "Its sums are kept by day of that zone and in that currency.",
        "ask with --timezone or --currency instead, or make a new campaign and send the events to it",
    ),
    "conflict": (
        "The state of the object does not allow this.",
        "Something else was there first; the message says what.",
        "read the object again, and repeat what still makes sense",
    ),
    "email_taken": (
        "Somebody is registered with this address.",
        "Addresses are compared without case.",
        "sign in instead, or have an admin reset the password: campaignctl users reset-password",
    ),
    "forbidden": (
        "You are signed in, and may not do this.",
        "It takes a higher role, or a key with another scope.",
        "ask an admin of the organization; campaignctl members list says who has which role",
    ),
    "headers_too_large": (
        "The headers of the request are too many or too large.",
        "A client sends a very long token or cookie.",
        "send fewer headers",
    ),
    "idempotency_in_flight": (
        "A request with the same Idempotency-Key is still being answered.",
        "It was repeated before the first answer came.",
        "wait a moment and repeat it: then the first answer comes again",
    ),
    "idempotency_key_reused": (
        "The same Idempotency-Key came with another request.",
        "A key stands for one request with one body, for 24 hours.",
        "make a new key for each new request",
    ),
    "invalid_credentials": (
        "Address and password do not belong together.",
        "One of both is wrong; which one is never said.",
        "try again, or have an admin reset the password: campaignctl users reset-password",
    ),
    "invalid_input": (
        "Something in the request is not valid.",
        "The member errors names each field, what is wrong and what would be right.",
        "correct the fields that are named, and send it again",
    ),
    "invalid_query": (
        "The SQL statement cannot be run.",
        "It does not parse, names what is not there, or would write.",
        "correct it; campaignctl query --help has examples",
    ),
    "invalid_token": (
        "The token is none of ours, or it has been used or has ended.",
        "Invitations, resets and refresh tokens hold once and for a time.",
        "sign in again (campaignctl login), or ask for a new invitation or reset",
    ),
    "job_finished": (
        "The job has ended: it can no longer be cancelled.",
        "It was done before the request came.",
        "campaignctl jobs show N says how it ended",
    ),
    "job_in_the_way": (
        "Another job works on the same thing.",
        "Two re-aggregations of overlapping days would get in each other's way.",
        "wait for the job that the message names: campaignctl jobs wait N",
    ),
    "last_admin": (
        "The organization would have no admin any more.",
        "Somebody has to be able to invite and to manage keys.",
        "make another member an admin first: campaignctl members set-role N --role admin",
    ),
    "malformed_request": (
        "The request does not parse.",
        "The body is no JSON, or not UTF-8, or a header cannot be read. Nothing of it was taken.",
        "look at what the client sends; of events send one object a line (application/x-ndjson)",
    ),
    "method_not_allowed": (
        "This path does not know the method.",
        "The header Allow names those it knows.",
        "look the operation up in /openapi.json",
    ),
    "native_campaign_claimed": (
        "Another campaign claims this native campaign on some of these days.",
        "A native campaign belongs to one campaign at a time, so that nothing counts twice.",
        "end the other claim with valid_to, or begin this one later with valid_from",
    ),
    "not_acceptable": (
        "There is no such form of the answer.",
        "Accept names none that is known, or Parquet and Arrow on a server without pyarrow.",
        "accept application/json, or one of the forms that the hint names",
    ),
    "not_cancellable": (
        "This job can no longer be cancelled.",
        "An erasure holds from the moment it was accepted; what the job still does is clearing away.",
        "wait for it: campaignctl jobs wait N",
    ),
    "not_found": (
        "There is no such object, or it belongs to another organization.",
        "The number is wrong, the object was removed, or you are signed in elsewhere.",
        "list what is there (campaignctl campaigns list, jobs list), and look at who you are signed in as",
    ),
    "not_ready": (
        "The server has started and its stores are not all there yet.",
        "It waits for a store, or for the schema.",
        "try again in a moment; campaignctl doctor says what it waits for",
    ),
    "not_signed_in": (
        "There are no credentials, or they no longer hold.",
        "The token has ended or was revoked, or CA_TOKEN is not set.",
        "campaignctl login, or set CA_TOKEN to an access token or an API key",
    ),
    "not_yet_visible": (
        "What was sent is durable, and not counted yet.",
        "The workers are behind, or none runs; after= waits for 10 seconds.",
        "ask again in a moment; campaignctl lag says how far behind they are",
    ),
    "overloaded": (
        "The server has more requests than it can answer now.",
        "Too many come at once, or one address has too many connections.",
        "wait as long as Retry-After says, and ask with fewer at a time",
    ),
    "precondition_failed": (
        "The object has changed since it was read.",
        "Somebody else changed it in between; If-Match names the earlier state.",
        "read it again, make the change anew, and send the new ETag",
    ),
    "precondition_required": (
        "If-Match is missing.",
        "Replacing needs the ETag of what is replaced, so that no change of others is lost.",
        "read the object and send its ETag as If-Match",
    ),
    "query_cancelled": (
        "The statement was stopped before it had an answer.",
        "Ctrl-C in the shell that asked, or somebody stopped it in the store.",
        "ask again",
    ),
    "query_limit": (
        "The statement went beyond a limit of rows, memory or time.",
        "It reads or answers too much.",
        "ask for fewer days or columns, aggregate, or add LIMIT",
    ),
    "registration_closed": (
        "Nobody can register here without an invitation.",
        "auth.registration is invite or closed.",
        "ask an admin for an invitation: campaignctl members invite ADDRESS --role ROLE",
    ),
    "request_timeout": (
        "The request did not arrive in time.",
        "The connection is slow, or the client stopped in the middle.",
        "send it again, in smaller pieces where the line is slow",
    ),
    "sums_not_corrected": (
        "Erased events are still in the sums of their days.",
        "Their raw records are gone; the re-aggregation that takes them out of the sums failed or was cancelled.",
        "campaignctl reaggregate --campaign N --wait",
    ),
    "throttled": (
        "Too many tries.",
        "Sign-ins are limited by account and by address.",
        "wait as long as Retry-After says",
    ),
    "too_many_streams": (
        "You have as many live streams open as one user or key may have.",
        "Each window that follows a campaign is one of them; server.streams_per_user is how many there may be.",
        "close one of them, or wait as long as Retry-After says",
    ),
    "unsupported_media_type": (
        "The media type or the encoding of the body is not taken.",
        "Content-Type or Content-Encoding names something else than the operation knows.",
        "send application/json (events: application/x-ndjson too), plain or gzip",
    ),
    "uri_too_long": (
        "Path and query are too long.",
        "Very many values in one question.",
        "ask in several requests",
    ),
}
