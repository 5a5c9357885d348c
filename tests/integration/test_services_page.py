"""The service and the container of docs/services.md."""

from __future__ import annotations

import http.client
import json
import shlex
import threading
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from capgen import Captioner
from tests.pages import ROOT, blocks

PAGE = ROOT / "docs" / "services.md"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The service of the page, running."""
    (text,) = [block.text for block in blocks(PAGE) if block.section == "A service"]
    module = types.ModuleType("service")
    exec(compile(text, "service.py", "exec"), module.__dict__)
    server = module.make_server(port=0)
    module.Handler.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, data: bytes | None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET" if data is None else "POST", "/", data)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def test_threads_share_the_captioner(port: int, bundled: Captioner, images: list[Path]) -> None:
    expected = [bundled.caption(path, max_characters=125) for path in images[:4]]
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda path: ask(port, path.read_bytes()), images[:4] * 2)]
    assert [status for status, _ in answers] == [200] * 8
    assert [content["caption"] for _, content in answers] == [one.text for one in expected] * 2
    assert answers[0][1]["sha256"] == expected[0].sha256
    assert answers[0][1]["revision"] == bundled.model.fingerprint


def test_what_is_no_image(port: int, bundled: Captioner) -> None:
    assert ask(port, b"no image")[0] == 422 and ask(port, b"no image")[1]["code"] == "not_an_image"
    assert ask(port, b"")[0] == 413
    assert ask(port, None) == (200, {"model": "mini", "revision": bundled.model.fingerprint})


def test_the_container_copies_and_runs_what_there_is() -> None:
    (text,) = [block.text for block in blocks(PAGE) if block.language == "dockerfile"]
    lines = [line.partition(" ") for line in text.splitlines()]
    copied = [name for verb, _, rest in lines if verb == "COPY" for name in shlex.split(rest)[:-1]]
    assert {verb for verb, *_ in lines} == {"FROM", "RUN", "COPY", "USER", "EXPOSE", "CMD"}
    assert all((ROOT / name).exists() for name in copied if name != "service.py")
    command = json.loads(next(rest for verb, _, rest in lines if verb == "CMD"))
    target = next(rest for verb, _, rest in lines if rest.startswith("service.py"))
    assert command == ["python", target.split()[1]]
