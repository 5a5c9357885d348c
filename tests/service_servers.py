"""Services of `capgen serve`, within the tests' process and as a process of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from capgen import Captioner
from capgen.config import DecodeOptions, ImageLimits, PromptOptions, ServeOptions
from capgen.http_server import listen
from capgen.service.app import make_app
from capgen.service.asked import RequestOptions, Resolver
from capgen.service.caps import Caps
from capgen.service.captioning import CaptionService, Intake
from capgen.service.server import Server

ROOT = Path(__file__).parents[1]
DEFAULTS = RequestOptions(decoding=DecodeOptions(), prompt=PromptOptions())


@dataclass
class Running:
    """A service in this process, with a client."""

    client: httpx.Client
    url: str
    service: CaptionService
    server: Server

    def captions(self, *images: Path | bytes, **options: str) -> httpx.Response:
        """Post images as a form."""
        files = [
            ("image", (image.name, image.read_bytes()) if isinstance(image, Path) else image)
            for image in images
        ]
        return self.client.post("/v1/captions", files=files, data=options)


@contextmanager
def serving(
    captioner: Captioner,
    *,
    token: str = "",
    queue: int = 128,
    download: bool = True,
    allow_private: bool = False,
    **options: Any,
) -> Iterator[Running]:
    """Run a service for a captioner."""
    serve = ServeOptions(queue=queue, download=download, **options)
    intake = Intake(
        limits=ImageLimits(max_bytes=serve.max_body),
        queue=queue,
        download=download,
        allow_private=allow_private,
    )
    service = CaptionService(
        Resolver(
            captioner, DEFAULTS, serve.name or captioner.name, 16, Caps(serve, DEFAULTS.decoding)
        ),
        intake,
        lanes=1,
    )
    listening = listen("127.0.0.1", 0, hint="")
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = Server(make_app(service, serve, token), listening, serve)
    server.start()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
            yield Running(client, url, service, server)
    finally:
        server.stop()
        service.close()


class Process:
    """`capgen serve` as a process, on a free port."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        own = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "capgen", "serve", "--port", "0", *arguments],
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def client(self) -> httpx.Client:
        """Return a client, once the service answers."""
        self.hear("Ctrl-C ends it")
        found = re.search(r"http://[\d.]+:(\d+)", self.said)
        assert found is not None
        return httpx.Client(base_url=f"http://127.0.0.1:{found[1]}", timeout=60)

    def hear(self, text: str) -> None:
        """Wait until the process says something."""
        assert self.process.stderr is not None
        while text not in self.said:
            line = self.process.stderr.readline()
            assert line, f"it ended: {self.said}"
            self.said += line

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was said."""
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, self.said + rest

    def memory(self) -> int:
        """Return the resident memory in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) << 10
