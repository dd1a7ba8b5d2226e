"""A real git server: git's own http-backend behind Python's HTTP server, with basic authentication."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, TOKEN = "ada", "t0ken-of-ada"


class GitServer:
    """Serves the repositories below a folder. Use `git_server`."""

    def __init__(self, root: Path, *, private: bool) -> None:
        self.root = root
        #: What each request brought: the Authorization header's user and password, or nothing.
        self.logins: list[str] = []
        #: Answer every request with this redirect's host instead.
        self.redirect_to = ""
        #: Cut so many answers after some bytes.
        self.cuts = 0
        scene = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def _answer(self, body: bytes) -> None:
                scheme, _, given = (self.headers.get("Authorization") or "").partition(" ")
                login = base64.b64decode(given).decode() if scheme == "Basic" else ""
                scene.logins.append(login)
                if scene.redirect_to:
                    self.send_response(302)
                    self.send_header("Location", scene.redirect_to + self.path)
                    self.end_headers()
                elif private and login != f"{USER}:{TOKEN}":
                    self.send_response(403 if login else 401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.end_headers()
                else:
                    self._backend(body)

            def _backend(self, body: bytes) -> None:
                path, _, query = self.path.partition("?")
                done = subprocess.run(
                    ["git", "http-backend"],
                    input=body,
                    capture_output=True,
                    check=True,
                    env={
                        "PATH": os.environ["PATH"],
                        "GIT_PROJECT_ROOT": str(root),
                        "GIT_HTTP_EXPORT_ALL": "1",
                        "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
                        "REQUEST_METHOD": self.command,
                        "PATH_INFO": path,
                        "QUERY_STRING": query,
                        "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                        "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                    },
                )
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
                self.send_response(int(headers.pop("Status", "200").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if scene.cuts and self.command == "POST":
                    scene.cuts -= 1
                    content = content[: len(content) // 2]
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@contextmanager
def git_server(root: Path, *, private: bool = True) -> Iterator[GitServer]:
    """A server that asks for USER and TOKEN, unless it is not `private`."""
    server = GitServer(root, private=private)
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


class Repository:
    """A repository with one commit after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        # For what a test fetches by its commit's name alone.
        self._git("config", "uploadpack.allowReachableSHA1InWant", "true")

    def commit(self, text: str) -> str:
        """Change the file e2e/text; returns the commit."""
        (self.folder / "e2e").mkdir(exist_ok=True)
        (self.folder / "e2e/text").write_text(text)
        self._git("add", ".")
        self._git("-c", "user.name=n", "-c", "user.email=e@x", "commit", "--quiet", "-m", text)
        return self.head

    @property
    def head(self) -> str:
        """The newest commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout
