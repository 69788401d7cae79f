"""Numbers as the form says them: no more digits than mean something, and the unit beside them."""


def count(value: float | None) -> str:
    """5847040 -> "5.85 M", 12400 -> "12,400"; an unknown count is a dash."""
    if value is None:
        return "–"
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= 0.9995 * size:  # what would be rounded to 1,000 of the smaller unit
            return f"{value / size:.3g} {letter}"
    return f"{value:,.0f}"


def gib(num_bytes: float) -> str:
    """Bytes as "5.3 GiB", small ones as MiB."""
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """Seconds as "40 s", "12 min", "3 h 20 min" or "4 days"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{round(hours / 24)} days"
