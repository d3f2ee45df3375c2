"""Services that are asked on the way to S3: a proxy, and those of AWS that give credentials."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSIONS = {"sts": "2011-06-15", "sso": "2019-06-10"}


@contextlib.contextmanager
def answering(status: int, body: str = "", media_type: str = "text/xml") -> Iterator[str]:
    """Answer all requests with one thing, at the URL that comes back."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_CONNECT = do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_endpoint(folder: Path, service: str, url: str) -> None:
    """Have botocore find a service at a URL, with AWS_DATA_PATH set to the folder.

    A connection's endpoint is that of S3 alone, and older releases of botocore have no setting for others.
    """
    parameters: dict[str, Any] = {
        "Region": {"type": "String", "builtIn": "AWS::Region"},
        "UseDualStack": {"type": "Boolean", "required": True, "default": False},
        "UseFIPS": {"type": "Boolean", "required": True, "default": False},
        "Endpoint": {"type": "String", "builtIn": "SDK::Endpoint"},
    }
    if service == "sts":
        parameters["UseGlobalEndpoint"] = {"type": "Boolean", "required": True, "default": False}
    rule = {"conditions": [], "type": "endpoint", "endpoint": {"url": url}}
    target = folder / service / VERSIONS[service]
    target.mkdir(parents=True)
    rules = {"version": "1.0", "parameters": parameters, "rules": [rule]}
    (target / "endpoint-rule-set-1.json").write_text(json.dumps(rules))
