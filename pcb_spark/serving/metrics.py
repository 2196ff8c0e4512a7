"""What the service counts, for Prometheus; no image, no id and no secret is among it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class RequestMetrics:
    """Counters that every service has: of its requests."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "pcb_requests", "Requests, by route and status", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "pcb_request_seconds", "Time to an answer", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.refused = Counter(
            "pcb_refused", "Requests that were refused, by the error's code", ["code"],
            registry=registry,
        )  # fmt: skip

    def text(self) -> bytes:
        """Give all figures in Prometheus's text format."""
        return generate_latest(self.registry)


class ReviewMetrics(RequestMetrics):
    """Counters of the review page; none is of a person."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = Counter(
            "pcb_review_entries", "What operators said, by state", ["state"],
            registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "pcb_review_waiting", "Images that nobody has decided", registry=self.registry
        )


class Metrics(RequestMetrics):
    """Counters of the service that decides."""

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry
        self.in_progress = Gauge(
            "pcb_requests_in_progress", "Inspections in progress", registry=registry
        )
        self.images = Counter(
            "pcb_images", "Images decided, by decision", ["decision"], registry=registry
        )
        self.batch = Histogram(
            "pcb_batch_images", "Images that shared a call of the network",
            buckets=(1, 2, 4, 8, 16, 32), registry=registry,
        )  # fmt: skip
        self.stages = Histogram(
            "pcb_stage_seconds", "Time of reading one pair, and of one call of the network",
            ["stage"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.references = Counter(
            "pcb_references", "References asked of the store: hit or miss", ["found"],
            registry=registry,
        )  # fmt: skip
        self.reference_bytes = Gauge(
            "pcb_reference_bytes", "Memory of the kept references", registry=registry
        )
        self.swaps = Counter(
            "pcb_model_swaps", "New models: served or refused", ["outcome"], registry=registry
        )
        self.model = Gauge(
            "pcb_model", "1 for the model that is served", ["version", "sha256"], registry=registry
        )
        for found in ("hit", "miss"):
            self.references.labels(found)
        for outcome in ("served", "refused"):
            self.swaps.labels(outcome)

    def serves(self, version: str, sha256: str) -> None:
        """Say which model is served."""
        self.model.clear()
        self.model.labels(version, sha256).set(1)
