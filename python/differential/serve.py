"""`python -m differential.serve APP --port N --control M`: an application on Bimetal, with a second port that tells its figures.

Whoever connects to the control port gets `Server.stats()` as JSON.
"""

from __future__ import annotations

import argparse
import json
import socketserver
import threading

from bimetal import Server
from differential.applications import load


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    arguments = parser.parse_args()
    # uvicorn has no limits of its own that such requests reach.
    server = Server(load(arguments.app)[0], port=arguments.port, max_request_line=65_535, max_head_size=131_072)

    class Figures(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(json.dumps(server.stats()).encode())

    with socketserver.TCPServer(("127.0.0.1", arguments.control), Figures) as control:
        threading.Thread(target=control.serve_forever, daemon=True).start()
        server.serve_forever()


if __name__ == "__main__":
    main()
