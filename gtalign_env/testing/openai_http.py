"""The wire of the loopback server: HTTP/1.1, one thread for each request, bodies and server-sent events, and how they break."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from gtalign_env.testing import openai_forms as forms
from gtalign_env.testing.openai_forms import Asked

if TYPE_CHECKING:
    from gtalign_env.testing.openai_server import OpenAIServer

__all__ = ["Handler", "HttpServer"]

_DRIP = 0.05


class HttpServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback interface.

    Args:
        desk: What answers.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, desk: OpenAIServer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.desk = desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone away; print any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads requests and writes answers; what to answer is said by ``self.server.desk.desk``."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the models."""
        if self.path != "/v1/models":
            self._send(404, forms.error(f"there is nothing at {self.path}"))
            return
        owner = "vllm" if self.server.desk.vllm else "loopback"
        names = self.server.desk.models or ("echo",)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name in names]
        self._send(200, {"object": "list", "data": data})

    def do_POST(self) -> None:
        """Answer, or misbehave."""
        self.server.desk.enter()
        try:
            self._post()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has seen enough
        finally:
            self.server.desk.leave()

    def _post(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            self._send(400, forms.error("the body is not JSON"))
            return
        if self.server.desk.vllm and self.path == "/tokenize":
            ids = self.server.desk.encode(body["prompt"])
            self._send(200, {"tokens": ids, "count": len(ids), "max_model_len": self.server.desk.context or 2**20})
            return
        if self.path not in ("/v1/chat/completions", "/v1/completions"):
            self._send(404, forms.error(f"there is nothing at {self.path}"))
            return
        key = str(self.headers.get("authorization") or "").removeprefix("Bearer ")
        asked = self.server.desk.take(self.path, body, key)
        problem = self.server.desk.problem(asked, key)
        if problem is not None:
            self._send(*problem)
            return
        self.server.desk.pause(self.server.desk.delay)
        self._answer(asked, self.server.desk.fault(asked))

    def _answer(self, asked: Asked, fault: str) -> None:
        name, _, argument = fault.partition(":")
        if name.isdigit():
            headers = {"Retry-After": argument} if argument else {}
            self._send(int(name), forms.error(f"status {name}, as planned", kind="server_error"), headers)
        elif name == "drop" or (name == "hang" and self.server.desk.pause(float(argument) if argument else None)):
            self.close_connection = True
        elif name == "garbage":
            self._send_bytes(200, b"<html><body>Bad gateway</body></html>", "text/html")
        elif name == "empty":
            self._send(200, {"id": "x", "object": "chat.completion", "created": 0, "model": "x", "choices": []})
        elif asked.body.get("stream"):
            self._stream(asked, name)
        elif name == "error_event":
            self._send(200, forms.error("the engine died", kind="server_error"))
        else:
            self._whole(asked, name)

    def _whole(self, asked: Asked, fault: str) -> None:
        data = json.dumps(forms.body(asked, self.server.desk.answer(asked, fault), vllm=self.server.desk.vllm)).encode()
        if fault == "drip":
            data = data.rjust(10_000)
        self._head(200, "application/json", {"Content-Length": str(len(data))})
        if fault == "cut":
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self._write(data, slowly=fault == "drip")

    def _stream(self, asked: Asked, fault: str) -> None:
        made = list(forms.chunks(asked, self.server.desk.answer(asked, fault), vllm=self.server.desk.vllm))
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in made]
        if fault in ("cut", "error_event"):
            del lines[(len(lines) + 1) // 2 :]
        if fault == "error_event":
            lines.append(f"data: {json.dumps(forms.error('the engine died', kind='server_error'))}\n\n")
        self._head(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
        if fault == "drip":
            lines *= 10_000
        for line in lines:
            if fault == "drip" and self.server.desk.pause(_DRIP):
                return
            self._chunk(line)
        if fault == "cut":
            self.close_connection = True
            return
        self._chunk("data: [DONE]\n\n")
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), "application/json", headers)

    def _send_bytes(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, {"Content-Length": str(len(data)), **(headers or {})})
        self._write(data, slowly=False)

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, data: bytes, *, slowly: bool) -> None:
        for part in _parts(data) if slowly else [data]:
            self.wfile.write(part)
            if slowly and self.server.desk.pause(_DRIP):
                return


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield single bytes."""
    return (data[place : place + 1] for place in range(len(data)))
