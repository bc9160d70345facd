"""LinkedIn's errors in the form in which the API sends them."""

from campaignctl.sandbox.platforms.desk import Answer


def error(status: int, number: int, code: str, message: str) -> Answer:
    return Answer({"status": status, "serviceErrorCode": number, "code": code, "message": message}, status)


def token(number: int, code: str, message: str) -> Answer:
    return error(401, number, code, message)


def invalid(message: str) -> Answer:
    return error(400, 0, "ILLEGAL_ARGUMENT", message)


def denied(what: str) -> Answer:
    return error(403, 100, "ACCESS_DENIED", f"Not enough permissions to access: {what}")


def version(asked: str) -> Answer:
    message = f"Requested version {asked} is not active"
    return Answer({"status": 426, "code": "NONEXISTENT_VERSION", "message": message}, 426)


def grant() -> Answer:
    message = "The provided authorization grant or refresh token is invalid, expired or revoked."
    return Answer({"error": "invalid_grant", "error_description": message}, 400)


def metric_values() -> Answer:
    message = (
        "The data request limit has been exceeded. More than 45 million metric values were requested in a 5-minute "
        "window."
    )
    return Answer({"message": message}, 429)


def of_fault(fault: str, asked_version: str) -> Answer | None:
    """The error that a fault answers; None for one that answers none."""
    match fault:
        case "linkedin-metric-values":
            return metric_values()
        case "linkedin-day-limit":
            message = "Resource level throttle APPLICATION DAY limit for calls to this resource is reached."
            return error(429, 101, "TOO_MANY_REQUESTS", message)
        case "linkedin-token-expired":
            return token(65602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")
        case "linkedin-permission":
            return denied("adAnalytics.FINDER-analytics")
        case "linkedin-version":
            return version(asked_version)
        case _:
            return None
