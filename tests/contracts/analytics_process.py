"""A process that lands batches until it is killed: ``python -m tests.contracts.analytics_process PLACE BATCHES ROWS``."""

import sys

from tests.contracts.analytics_rows import event_rows, random_rows
from tests.contracts.analytics_server import open_place


def main() -> None:
    place, batches, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    store = open_place(place)
    print("ready", flush=True)
    for number in range(batches):
        store.append_events(event_rows(random_rows(number, rows, first_offset=number * rows)), f"batch-{number}")
        print(number, flush=True)


if __name__ == "__main__":
    main()
