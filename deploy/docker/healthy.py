"""The container's health check: is the process alive that listens on the port which the named variable holds?

It asks ``/health/live``, which touches no store: a store that is away must not have containers restarted.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException


def main(variable: str) -> int:
    connection = HTTPConnection("127.0.0.1", int(os.environ[variable]), timeout=2)
    try:
        connection.request("GET", "/health/live")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"no answer: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
