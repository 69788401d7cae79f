"""The page: `python app.py`, then open the address that it says. Ctrl-C saves the run that is on and ends."""

import os
import sys
import threading
from pathlib import Path

from llm_testing.jobs.process import prepare_process

prepare_process()  # before torch is imported

from llm_testing.api.endpoints import endpoints_of  # noqa: E402
from llm_testing.api.gate import gate_of  # noqa: E402
from llm_testing.api.routes import routes_of  # noqa: E402
from llm_testing.jobs.signals import on_stop_signals  # noqa: E402
from llm_testing.jobs.streams import escape_streams  # noqa: E402
from llm_testing.service.lab import Lab  # noqa: E402
from llm_testing.ui.assets import addresses  # noqa: E402
from llm_testing.ui.launch import arguments, close_tunnels, open_page, way_in  # noqa: E402
from llm_testing.ui.page import build_page  # noqa: E402


def main() -> None:
    escape_streams()  # before the server's logs take their stream
    given = arguments(Path(__file__).parent)
    door, place = given.door, given.door.setting
    lab, stop = Lab(given.runs_dir, given.cache_dir, leave_a_core=True), threading.Event()
    with on_stop_signals(lambda name: stop.set()):
        page = build_page(lab, endpoints_of(lab), place.signs_in)
        url = open_page(page, place.server_name, given.port, routes_of(lab, addresses()), gate_of(door))
        lab.warm_up()
        sys.stderr.write(way_in(door, url))
        stop.wait()
        close_tunnels()
        lab.shutdown()
    os._exit(0)  # the run is on disk; open pages would keep the server's threads, and with them the process, alive


if __name__ == "__main__":
    main()
