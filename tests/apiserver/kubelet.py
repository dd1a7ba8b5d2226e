"""A kubelet that has nothing but logs: the API server of these tests has no node, and asks this one instead.

What is tested is the way through the API server; the lines come from the test.
"""

from __future__ import annotations

import http.server
import ssl
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

HOST = "127.0.0.1"


class Log:
    """The log of one container, which a test writes while others read it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()

    def write(self, *lines: str) -> None:
        with self._changed:
            self._lines += lines
            self._changed.notify_all()

    def end(self) -> None:
        """The container has exited."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, start: int, *, follow: bool) -> list[str]:
        """The lines from `start`; with `follow` at least one, unless the log has ended."""
        with self._changed:
            if follow:
                self._changed.wait_for(lambda: self._ended or len(self._lines) > start)
            return self._lines[start:]


class Kubelet:
    """Serves logs for pods of one made-up node. Use it as a context manager."""

    def __init__(self, server: ThrowawayControlPlane, node: str) -> None:
        self.node = node
        self._api = server.client
        self._logs: dict[str, Log] = {}
        logs = self._logs

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                log = logs.get(path.removeprefix("/containerLogs/"))
                if log is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                sent = 0
                while lines := log.read(sent, follow="follow=true" in query):
                    sent += len(lines)
                    content = "".join(f"{line}\n" for line in lines).encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
                    if "follow=true" not in query:
                        break
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: Any) -> None:
                pass

        pair = server.certificate_for_server(f"kubelet-{node}", HOST)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        node = self._api.create("/api/v1/nodes", {"metadata": {"name": self.node}})
        node["status"] = {
            "addresses": [{"type": "InternalIP", "address": HOST}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}},
        }
        self._api.request("PUT", f"/api/v1/nodes/{self.node}/status", node)
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._logs.values():
            log.end()
        self._api.delete(f"/api/v1/nodes/{self.node}")
        self._server.shutdown()
        self._server.server_close()

    def pod(self, namespace: str, name: str, container: str = "runner") -> Log:
        """Create a pod on this node; what is written to the log that comes back is its container's."""
        spec = {
            "nodeName": self.node,
            "containers": [{"name": container, "image": "never-pulled"}],
            "automountServiceAccountToken": False,
        }
        self._api.create(f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": spec})
        log = self._logs[f"{namespace}/{name}/{container}"] = Log()
        return log
