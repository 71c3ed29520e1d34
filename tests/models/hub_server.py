"""A Hugging Face of our own: a file server on this machine that can misbehave."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" * 6 + "c0ff"
_CHUNK = 1 << 14


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Refusal:
    """What to answer instead of a file."""

    status: int
    code: str = ""
    message: str = ""


@dataclass
class HubServer:
    """What is served, how, and what was asked.

    Large files are redirected to a "CDN" of another host name, as on the hub.
    """

    url: str = ""
    cdn: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    #: Name that is claimed of a file's content, where it is not the true one.
    claimed: dict[str, str] = field(default_factory=dict)
    #: Files that lie in git, with git's hash, and not in LFS.
    small: set[str] = field(default_factory=set)
    refusal: Refusal | None = None
    #: The first transfers end after so many bytes each.
    breaks: list[int] = field(default_factory=list)
    #: Content-Length of a transfer that is broken off: honest, or as short as it is.
    is_honest: bool = True
    #: The first transfers are answered with these errors.
    busy: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    #: Seconds between pieces, and how long nothing comes in the middle.
    pace: float = 0.0
    silence: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0

    def serve(self, repo: str, name: str, content: bytes, small: bool = False) -> str:
        """Add a file; return its SHA-256."""
        self.files[f"{repo}/{name}"] = content
        if small:
            self.small.add(f"{repo}/{name}")
        return hashlib.sha256(content).hexdigest()

    def transfers(self) -> list[Asked]:
        """Return the requests for content."""
        return [asked for asked in self.asked if asked.path.startswith("/cdn/")]

    def etag(self, key: str) -> str:
        """Return the name of a file's content."""
        content = self.files[key]
        if key in self.claimed:
            return self.claimed[key]
        if key in self.small:
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append(Asked(self.command, self.path, headers))
        with suppress(ConnectionError):
            if self.path.startswith("/cdn/"):
                self._send(self.hub.files[self.path.removeprefix("/cdn/")])
            else:
                self._resolve()

    def _resolve(self) -> None:
        hub = self.hub
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        assert match is not None, self.path
        key = f"{match[1]}/{match[3]}"
        refusal = hub.refusal
        if refusal is None and key not in hub.files:
            refusal = Refusal(404, "EntryNotFound", "Entry not found")
        if refusal is not None:
            self._head(
                refusal.status,
                {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message},
            )
            return
        facts = {"X-Repo-Commit": hub.commit, "ETag": f'"{hub.etag(key)}"'}
        if key in hub.small:
            content = hub.files[key]
            self._head(200, facts, len(content))
            if self.command == "GET":
                self.wfile.write(content)
            return
        facts["X-Linked-Etag"] = f'"{hub.etag(key)}"'
        facts["X-Linked-Size"] = str(len(hub.files[key]))
        facts["Location"] = f"{hub.cdn}/cdn/{key}"
        self._head(302, facts)

    def _send(self, content: bytes) -> None:
        hub = self.hub
        if hub.busy:
            self._head(hub.busy.pop(0), {})
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and hub.knows_ranges:
            start = int(asked[1])
        end = len(content)
        if hub.breaks:
            end = min(end, start + hub.breaks.pop(0))
        promised = len(content) - start if hub.is_honest else end - start
        self._head(206 if start else 200, {}, promised)
        for place in range(start, end, _CHUNK):
            piece = content[place : min(place + _CHUNK, end)]
            self.wfile.write(piece)
            hub.sent += len(piece)
            time.sleep(hub.pace)
            if hub.silence and place > len(content) // 2:
                time.sleep(hub.silence)
        if end - start != promised:
            self.close_connection = True

    def _head(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet where a client was killed, as some tests do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def run_hub() -> Iterator[HubServer]:
    """Serve from a thread."""
    hub = HubServer()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    port = server.server_address[1]
    hub.url, hub.cdn = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
