#!/bin/sh
# A step for a pipeline that sends numbers on: numbers.sh CAMPAIGN...
#
# Fails (exit code 1) while the newest data of a campaign is older than GATE_MAX_AGE (2 hours unless set), or while what was
# streamed in the last 30 days and what the platforms report are further apart than GATE_TOLERANCE (0.05).
# A server that cannot be reached is 7: try again.
set -eu
[ $# -gt 0 ] || { echo "usage: numbers.sh CAMPAIGN..." >&2; exit 2; }
for campaign in "$@"; do
    campaignctl --quiet freshness --campaign "$campaign" --max-age "${GATE_MAX_AGE:-2h}"
    campaignctl --quiet reconcile --campaign "$campaign" --tolerance "${GATE_TOLERANCE:-0.05}"
done
echo "the numbers of $* are new enough and agree"
