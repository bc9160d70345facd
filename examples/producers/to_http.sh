#!/bin/sh
# Send a file of events (NDJSON) by HTTP: to_http.sh FILE
#
# The answer says how many were taken, which were refused and why. The idempotency key is made of the file's content, so the
# same file sent again within 24 hours, after a connection that broke, say, is answered as it was the first time.
set -eu
file=${1:?usage: to_http.sh FILE}
url=${CA_API_URL:-http://127.0.0.1:8080}
key=$(sha256sum "$file" | cut -c1-64)

# The token goes in by stdin: arguments of a process can be read by everyone on the machine.
gzip -c "$file" > "$file.gz"
trap 'rm -f "$file.gz"' EXIT
printf 'header = "Authorization: Bearer %s"\n' "${CA_TOKEN:?set CA_TOKEN to an access token or API key}" |
    curl --config - --silent --show-error --fail-with-body --max-time 60 --retry 3 \
        --header 'Content-Type: application/x-ndjson' --header 'Content-Encoding: gzip' \
        --header "Idempotency-Key: $key" --data-binary "@$file.gz" "$url/api/v1/events"
echo
