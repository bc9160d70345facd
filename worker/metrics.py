"""The worker's Prometheus metrics. No label is ever a campaign, a user or anything else without a bound."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from campaignctl.services.ingestion import BatchCounts

_DELAY_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800)
_INSERT_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_ROWS_BUCKETS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)


class WorkerMetrics:
    """One set per registry: make it once per process, however many workers run in it."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.consumed = Counter(
            "campaignctl_events_consumed_total",
            "Valid events applied, copies too.",
            ["platform"],
            registry=registry,
        )
        self.duplicates = Counter(
            "campaignctl_events_duplicate_total",
            "Copies of events that count already: equal ones, and ones that say something else.",
            ["layer"],
            registry=registry,
        )
        self.rejected = Counter(
            "campaignctl_events_rejected_total", "Records that became dead letters.", ["reason"], registry=registry
        )
        self.quarantined = Counter(
            "campaignctl_events_quarantined_total",
            "Records set aside because processes died while they read them.",
            registry=registry,
        )
        self.rerouted = Counter(
            "campaignctl_events_rerouted_total",
            "Records produced again because they lay in another partition than their campaign's.",
            registry=registry,
        )
        self.ignored = Counter(
            "campaignctl_own_records_ignored_total",
            "Records of the product's own that do nothing: damaged, or of a kind that this version does not know.",
            registry=registry,
        )
        self.slices = Counter(
            "campaignctl_report_slices_total",
            "Versions applied of what platforms report of a native campaign and day.",
            ["platform"],
            registry=registry,
        )
        self.lag = Gauge(
            "campaignctl_consumer_lag_records",
            "Records in the log that are not applied yet, of the partitions this worker owns.",
            ["topic", "partition"],
            registry=registry,
        )
        self.window = Gauge(
            "campaignctl_dedup_window_bytes",
            "Memory that the ids of the deduplication window take, of the partitions this worker owns.",
            ["topic", "partition"],
            registry=registry,
        )
        self.delay = Histogram(
            "campaignctl_ingest_delay_seconds",
            "From the log taking a record to its being in every answer; the oldest record of each batch.",
            buckets=_DELAY_BUCKETS_S,
            registry=registry,
        )
        self.rows = Histogram("campaignctl_batch_rows", "Rows per insert.", buckets=_ROWS_BUCKETS, registry=registry)
        self.insert_duration = Histogram(
            "campaignctl_clickhouse_insert_duration_seconds",
            "Duration of one batch's insert, retries included.",
            buckets=_INSERT_BUCKETS_S,
            registry=registry,
        )
        self.replays = Counter(
            "campaignctl_ingest_replays_total", "Unfinished batches repeated after a takeover.", registry=registry
        )
        self.holes = Counter(
            "campaignctl_ingest_holes_total",
            "Rows found missing after an uncertain insert, and filled in.",
            registry=registry,
        )
        self.drift = Gauge(
            "campaignctl_rollup_drift_rows",
            "Daily sums that differ from their raw records, as the last check of this worker's campaigns found.",
            registry=registry,
        )
        self.fenced = Counter(
            "campaignctl_ingest_fenced_total", "Batches dropped because a commit was refused.", registry=registry
        )
        self.rewinds = Counter(
            "campaignctl_ingest_rewinds_total",
            "Partitions whose committed offset lay below what had been applied.",
            registry=registry,
        )
        self.stops = Counter(
            "campaignctl_ingest_stops_total",
            "Times a partition was not applied because most of its latest records are bad where most were good before.",
            registry=registry,
        )
        self.failures = Counter(
            "campaignctl_ingest_failures_total",
            "Times a partition had to be opened again after an error.",
            registry=registry,
        )

    def count(self, counts: BatchCounts) -> None:
        """Add what became of a batch that has landed."""
        for platform, events in counts.events_by_platform.items():
            self.consumed.labels(platform).inc(events)
        for reason, records in counts.rejected_by_reason.items():
            self.rejected.labels(reason).inc(records)
        self.duplicates.labels("copy").inc(counts.copies - counts.conflicts)
        self.duplicates.labels("conflict").inc(counts.conflicts)
        self.rerouted.inc(counts.rerouted)
        self.quarantined.inc(counts.quarantined)
        self.ignored.inc(counts.own_records)
        for platform, slices in counts.slices_by_platform.items():
            self.slices.labels(platform).inc(slices)
