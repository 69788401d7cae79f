"""Opening the service when a command needs it. It brings torch with it, which --help must not wait for."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_testing.store.places import default_cache_dir

if TYPE_CHECKING:
    from llm_testing.model.generate import Sampling
    from llm_testing.service.lab import Lab


def open_lab(args: argparse.Namespace) -> Lab:
    """The service over the folders that were asked for, on every usable core."""
    from llm_testing.service.lab import Lab

    cache_dir = args.cache_dir or default_cache_dir(os.environ, sys.platform, Path.home())
    return Lab(args.runs_dir, cache_dir)


def new_sampling(**settings: Any) -> Sampling:
    """How text is drawn; settings that are None keep their defaults."""
    from llm_testing.model.generate import Sampling

    return Sampling(**{name: value for name, value in settings.items() if value is not None})


def security_tables() -> dict[str, str]:
    """What SECURITY.md prints of the rules, by the names of its markers."""
    from llm_testing.cli.security_tables import security_tables

    return security_tables()
