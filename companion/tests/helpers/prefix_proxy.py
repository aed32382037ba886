"""A reverse proxy for tests that serves an upstream server under a path prefix."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def prefix_proxy(port: int, prefix: str, *, removes_prefix: bool = True, host: str | None = None) -> Iterator[str]:
    """Forward requests below `prefix` to a port of this machine. Yields the proxy's address.

    removes_prefix: whether the upstream server gets the path without the prefix. host: replaces `Host`, if given.
    """

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path != prefix and not path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream_path = (path.removeprefix(prefix) or "/") if removes_prefix else path
            headers = dict(self.headers) | {"Connection": "close"} | ({"Host": host} if host else {})
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            upstream.request(self.command, f"{upstream_path}{'?' if query else ''}{query}", body, headers)
            response = upstream.getresponse()
            content = response.read()
            upstream.close()
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forward) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()
