"""Where runs and prepared data lie unless somebody says otherwise."""

from collections.abc import Mapping
from pathlib import Path

RUNS = Path("runs")
"""The runs folder, in the current folder."""


def default_cache_dir(environ: Mapping[str, str], platform: str, home: Path) -> Path:
    """The folder of downloads and token files: LLM_TESTING_CACHE, else what the system has for such things.

    Args:
        environ, platform, home: os.environ, sys.platform and Path.home().
    """
    if environ.get("LLM_TESTING_CACHE"):
        return Path(environ["LLM_TESTING_CACHE"]).expanduser()
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "llm-testing"
