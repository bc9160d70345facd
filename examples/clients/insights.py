"""Print a campaign's insights by platform, exact: insights.py CAMPAIGN [START_DATE END_DATE]

Reads CA_API_URL and CA_TOKEN. Money stays a decimal: a float would lose digits of large sums.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from typing import Any

_TIMEOUT_S = 30.0


def main() -> int:
    if len(sys.argv) not in (2, 4):
        sys.stderr.write("usage: insights.py CAMPAIGN [START_DATE END_DATE]\n")
        return 2
    asked = {"granularity": "total", "group_by": "platform"}
    if len(sys.argv) == 4:
        asked |= {"start_date": sys.argv[2], "end_date": sys.argv[3]}
    try:
        answer = ask(f"/api/v1/campaigns/{sys.argv[1]}/insights", asked)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        sys.stderr.write(f"{problem['detail']} ({problem['code']}, request {problem['request_id']})\n")
        return 1
    except urllib.error.URLError as error:
        sys.stderr.write(f"no answer: {error.reason}\n")
        return 7
    for row in [*answer["rows"], {"platform": "total", "source": "", "finality": "", **answer["totals"]}]:
        figures = "".join(
            f"  {_shown(row[name]):>12}" for name in ("impressions", "clicks", "spend", "revenue", "roas")
        )
        print(f"{row['platform']:<10}{figures}  {row['source']} {row['finality']}".rstrip())
    for warning in answer["warnings"]:
        sys.stderr.write(f"{warning['code']}: {warning['message']}\n")
    return 0


def ask(path: str, parameters: dict[str, str]) -> Any:
    """The answer's JSON, its fractions as decimals. Raises ``HTTPError`` with a problem document as its body."""
    url = os.environ.get("CA_API_URL", "http://127.0.0.1:8080") + path + "?" + urllib.parse.urlencode(parameters)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['CA_TOKEN']}"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        return json.load(response, parse_float=Decimal)


def _shown(value: object) -> str:
    return "unknown" if value is None else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
