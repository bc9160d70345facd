"""Google Ads' errors in the form in which the API sends them."""

from campaignctl.sandbox.platforms.desk import Answer


def failure(
    code: int, status: str, kind: str, name: str, message: str, details: dict[str, object] | None = None
) -> Answer:
    one: dict[str, object] = {"errorCode": {kind: name}, "message": message}
    if details is not None:
        one["details"] = details
    detail = {
        "@type": "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure",
        "errors": [one],
        "requestId": "sandbox",
    }
    return Answer({"error": {"code": code, "message": message, "status": status, "details": [detail]}}, code)


def quota(wait_s: float, scope: str = "DEVELOPER") -> Answer:
    seconds = max(1, round(wait_s))
    details: dict[str, object] = {
        "quotaErrorDetails": {
            "rateScope": scope,
            "rateName": "Number of operations for basic access",
            "retryDelay": f"{seconds}s",
        }
    }
    message = f"Too many requests. Retry in {seconds} seconds."
    return failure(429, "RESOURCE_EXHAUSTED", "quotaError", "RESOURCE_EXHAUSTED", message, details)


def authentication(name: str) -> Answer:
    message = "Request had invalid authentication credentials."
    return failure(401, "UNAUTHENTICATED", "authenticationError", name, message)


def permission() -> Answer:
    message = (
        "User doesn't have permission to access customer. Note: If you're accessing a client customer, the manager's "
        "customer id must be set in the 'login-customer-id' header."
    )
    return failure(403, "PERMISSION_DENIED", "authorizationError", "USER_PERMISSION_DENIED", message)


def version(asked: str) -> Answer:
    message = f"Version {asked} is deprecated. Requests to this version will be blocked."
    return request("UNSUPPORTED_VERSION", message)


def request(name: str, message: str) -> Answer:
    return failure(400, "INVALID_ARGUMENT", "requestError", name, message)


def query(name: str, message: str) -> Answer:
    """``name`` may say another kind before a point."""
    kind, _, own = name.rpartition(".")
    return failure(400, "INVALID_ARGUMENT", kind or "queryError", own, message)


def grant() -> Answer:
    return Answer({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)


def of_fault(fault: str, asked_version: str) -> Answer | None:
    """The error that a fault answers; None for one that answers none."""
    match fault:
        case "google-quota":
            return quota(30)
        case "google-daily-quota":
            return quota(39_600)
        case "google-token-expired":
            return authentication("OAUTH_TOKEN_EXPIRED")
        case "google-internal":
            message = "Internal error encountered."
            return failure(500, "INTERNAL", "internalError", "TRANSIENT_ERROR", message)
        case "200-error":
            message = "Internal error encountered."
            answer = failure(500, "INTERNAL", "internalError", "INTERNAL_ERROR", message)
            return Answer(answer.payload)
        case "google-page-token":
            return request("EXPIRED_PAGE_TOKEN", "Page token has expired.")
        case "google-permission":
            return permission()
        case "google-version":
            return version(asked_version)
        case "google-grant-revoked":
            return grant()
        case _:
            return None
