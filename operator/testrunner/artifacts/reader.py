"""`python -m testrunner.artifacts.reader`: serves one target's part of a volume over HTTP, read only.

For the short-lived pod in which `qgjob artifacts` reads a PersistentVolumeClaim. It is reached through the API server;
others in the cluster's network don't know the word that every path begins with.
"""

from __future__ import annotations

import argparse
import hmac
import http.server
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from .tree import Tree

PORT: Final = 8080


class Server(http.server.ThreadingHTTPServer):
    """GET /WORD/list/KEY answers [{"name", "size"}], GET /WORD/file/KEY/NAME a file's content."""

    def __init__(self, address: tuple[str, int], root: Path, word: str) -> None:
        self.root = root
        self.word = word
        super().__init__(address, _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        word, _, rest = unquote(self.path.split("?")[0]).lstrip("/").partition("/")
        what, _, path = rest.partition("/")
        if not hmac.compare_digest(word.encode(), self.server.word.encode()):
            self.send_error(404)
            return
        tree = Tree(self.server.root)
        try:
            if what == "list":
                self._list(tree, path.strip("/"))
            elif what == "file":
                with tree.open(path) as content:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/octet-stream")
                    self.send_header("Content-Length", str(os.fstat(content.fileno()).st_size))
                    self.end_headers()
                    shutil.copyfileobj(content, self.wfile)
            else:
                self.send_error(404)
        except OSError:
            self.send_error(404)

    def _list(self, tree: Tree, key: str) -> None:
        files = [{"name": file.name, "size": file.size} for file in tree.below(key).files()]
        content = json.dumps(files).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Paths hold the word."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m testrunner.artifacts.reader")
    parser.add_argument("--folder", required=True, type=Path, help="nothing outside of it is served")
    parser.add_argument("--word", required=True, help="paths begin with it")
    parser.add_argument("--host", default="")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args(arguments)
    with Server((options.host, options.port), options.folder, options.word) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
