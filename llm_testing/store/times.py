"""Times as the run folder writes them: UTC, ISO 8601, sortable as text."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The clock of everybody who is not a test."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """`2026-11-23T10:15:00.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
