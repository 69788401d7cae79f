"""The page: `python app.py`, then open the address that it says. Ctrl-C saves the run that is on and ends."""

import os
import sys
import threading
from pathlib import Path

# Idle OpenMP threads must not spin while another process computes; torch reads these when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from llm_testing.api.gate import gated  # noqa: E402
from llm_testing.api.routes import routes_of  # noqa: E402
from llm_testing.jobs.signals import on_stop_signals  # noqa: E402
from llm_testing.service.lab import Lab  # noqa: E402
from llm_testing.service.places import why_refused  # noqa: E402
from llm_testing.ui.assets import addresses  # noqa: E402
from llm_testing.ui.launch import arguments, open_page  # noqa: E402
from llm_testing.ui.page import build_page  # noqa: E402


def main() -> int:
    given = arguments(Path(__file__).parent)
    if reason := why_refused(os.environ, share=given.share, server_name=given.server_name):
        sys.stderr.write(reason + "\n")
        return 2
    lab, stop = Lab(given.runs_dir, given.cache_dir, leave_a_core=True), threading.Event()
    with on_stop_signals(lambda name: stop.set()):
        url = open_page(build_page(lab), given.port, routes_of(lab, addresses()), gated)
        sys.stderr.write(f"LLM-Testing is at {url} (Ctrl-C ends it)\n")
        lab.warm_up()
        stop.wait()
        lab.shutdown()
    os._exit(0)  # the run is on disk; open pages would keep the server's threads, and with them the process, alive


if __name__ == "__main__":
    sys.exit(main())
