"""The service with the bundled model, on the loopback interface."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from capgen import Captioner
from capgen.captioning.captioner import Captioner as CaptionerClass
from capgen.captioning.prepare import Prepared
from capgen.config import ImageLimits
from capgen.images import decoding_memory
from capgen.service import server
from capgen.service.batcher import Batcher
from tests import tiny_prompted
from tests.chat_server import chatting
from tests.server import Served
from tests.server import serving as serving_files
from tests.service_servers import Running, serving

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def running(bundled: Captioner) -> Iterator[Running]:
    with serving(bundled, max_body=1 << 20) as service:
        yield service


def data_url(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def same(record: dict[str, Any], expected: Any, **changes: Any) -> bool:
    """Whether an answer is the record of the library, log-probabilities to rounding."""
    wanted = {**expected.to_dict(), **changes}
    exact = {"caption", "sha256", "settings", "model", "revision", "path", "width", "notes"}
    return record.keys() == wanted.keys() and all(record[key] == wanted[key] for key in exact)


def test_records_are_those_of_the_library(
    running: Running, bundled: Captioner, images: list[Path]
) -> None:
    expected = [*bundled.stream(images[:4])]
    form = running.captions(images[0])
    assert form.status_code == 200
    assert same(form.json(), expected[0], path=images[0].name)
    raw = running.client.post(
        "/v1/captions?beams=1",
        content=images[1].read_bytes(),
        headers={"Content-Type": "image/jpeg"},
    )
    assert raw.json()["settings"]["beams"] == 1 and raw.json()["path"] is None
    sent = running.client.post(
        "/v1/captions", json={"url": data_url(images[2]), "options": {"max_words": 3}}
    )
    assert len(sent.json()["caption"].split()) <= 3
    several = running.captions(*images[:4])
    records = several.json()["records"]
    for record, one, path in zip(records, expected, images, strict=False):
        assert same(record, one, path=path.name)


def test_requests_of_the_moment_share_batches_and_keep_their_records(
    bundled: Captioner, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    held = threading.Event()
    caption = CaptionerClass.caption_prepared

    def counted(self: Captioner, batch: Any, *args: Any, **more: Any) -> Any:
        sizes.append(len(batch))
        held.wait(30)
        return caption(self, batch, *args, **more)

    monkeypatch.setattr(CaptionerClass, "caption_prepared", counted)
    waiting = threading.Semaphore(0)
    add = Batcher.add

    def added(self: Batcher, *args: Any) -> Any:
        made = add(self, *args)
        waiting.release()
        return made

    monkeypatch.setattr(Batcher, "add", added)
    with serving(bundled) as service, ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(service.captions, path) for path in images[:9]]
        for _ in range(9):
            assert waiting.acquire(timeout=60)
        held.set()
        records = [answer.result().json() for answer in answers]
    monkeypatch.undo()
    assert sum(sizes) == 9 and len(sizes) <= 3, sizes
    expected = [*bundled.stream(images[:9])]
    for record, one, path in zip(records, expected, images, strict=False):
        assert same(record, one, path=path.name)


def test_a_failing_image_is_a_record(running: Running, images: list[Path]) -> None:
    one = running.captions(b"no image")
    assert one.status_code == 422 and one.json()["error"]["code"] == "not_an_image"
    both = running.captions(images[0], b"no image")
    assert both.status_code == 200
    good, bad = both.json()["records"]
    assert good["caption"] and bad["error"]["code"] == "not_an_image" and bad["model"] == "mini"


def test_too_little_memory_is_no_fault_of_the_request(
    monkeypatch: pytest.MonkeyPatch, running: Running, images: list[Path]
) -> None:
    monkeypatch.setattr(decoding_memory, "_SMALL", 0)
    monkeypatch.setattr(decoding_memory, "available_memory", lambda: 1)
    answer = running.captions(images[0])
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "memory"
    parts = [{"type": "image_url", "image_url": {"url": data_url(images[0])}}]
    body = {"model": "mini", "messages": [{"role": "user", "content": parts}]}
    answer = running.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "memory"
    assert answer.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"hello", 415),
        ("", b"hello", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"[]", 400),
        ("application/json", b"{}", 400),
        ("application/json", b'{"url": 5}', 400),
        ("application/json", b'{"url": "file:///etc/passwd"}', 400),
        ("application/json", b'{"url": "data:image/png;base64,AA=A"}', 400),
        ("application/json", b'{"urls": "x"}', 400),
        ("application/json", b'{"path": "/etc/passwd"}', 400),
        ("application/json", b'{"url": "data:,x", "options": []}', 400),
        ("application/json", b'{"url": "data:,x", "options": {"beems": 5}}', 400),
        ("application/json", b'{"url": "data:,x"}', 422),
        ("application/json", b'{"url": "data:,x", "options": {"beams": 1e999}}', 400),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=a", b"x", 400),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\n", 400),
        ("image/jpeg", b"", 422),
        ("image/jpeg", b"x" * (2 << 20), 413),
    ],
)
def test_hostile_bodies_get_an_error_of_theirs(
    running: Running, kind: str, body: bytes, status: int
) -> None:
    answer = running.client.post("/v1/captions", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_a_chunked_body_is_limited_too(running: Running, images: list[Path]) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    answer = running.client.post(
        "/v1/captions", content=parts(), headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 413
    assert running.captions(images[0]).status_code == 200


def test_unknown_options_are_answered_with_the_nearest(
    running: Running, images: list[Path]
) -> None:
    answer = running.captions(images[0], max_wrods="3")
    assert answer.status_code == 400 and "max_words" in answer.json()["error"]["hint"]
    answer = running.captions(images[0], beams="0")
    assert answer.status_code == 400 and answer.json()["error"]["message"].startswith("beams is 0")


def test_private_addresses_are_refused_and_not_told(running: Running) -> None:
    for address in ("http://localhost:1/a.jpg", "http://169.254.169.254/latest"):
        answer = running.client.post("/v1/captions", json={"url": address})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "refused_address"
        assert "127.0.0.1" not in answer.text


def test_addresses_are_fetched_where_that_is_allowed(
    bundled: Captioner, images: list[Path]
) -> None:
    files = Served(files={"photo.jpg": images[0].read_bytes()})
    with serving_files(files), serving(bundled, allow_private=True) as service:
        address = f"{files.address}/photo.jpg"
        got = service.client.post("/v1/captions", json={"url": address})
    assert got.status_code == 200 and got.json()["path"] == address
    with serving(bundled, download=False) as service:
        answer = service.client.post("/v1/captions", json={"url": "https://example.org/a.jpg"})
        assert answer.status_code == 403


def test_a_full_queue_says_when_to_come_back(bundled: Captioner, images: list[Path]) -> None:
    with serving(bundled, queue=2) as service:
        answer = service.captions(*images[:3])
        assert answer.status_code == 413
        service.service._held = 2  # as if two were being worked on
        answer = service.captions(images[0])
        assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
        service.service._held = 0
        assert service.captions(images[0]).status_code == 200


def test_a_client_that_hangs_up_is_not_captioned(
    bundled: Captioner, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    begun, go = threading.Event(), threading.Event()
    waiting, cancelled = threading.Semaphore(0), threading.Event()
    caption, add = CaptionerClass.caption_prepared, Batcher.add

    def slow(self: Captioner, batch: Any, *args: Any, **more: Any) -> Any:
        seen.extend(item.path for item in batch)
        begun.set()
        go.wait(60)
        return caption(self, batch, *args, **more)

    def added(self: Batcher, *args: Any) -> Any:
        made = add(self, *args)
        made.add_done_callback(lambda done: cancelled.set() if done.cancelled() else None)
        waiting.release()
        return made

    monkeypatch.setattr(CaptionerClass, "caption_prepared", slow)
    monkeypatch.setattr(Batcher, "add", added)
    with serving(bundled) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.captions, images[0])
        assert begun.wait(60) and waiting.acquire(timeout=60)
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            data = images[1].read_bytes()
            head = "POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            assert waiting.acquire(timeout=60)
        assert cancelled.wait(60)
        go.set()
        assert first.result().status_code == 200
        assert service.captions(images[2]).status_code == 200
    assert seen == [images[0].name, images[2].name]


def test_what_takes_too_long_ends(bundled: Captioner, images: list[Path]) -> None:
    with serving(bundled, seconds_to_send=0.3) as service:
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            head = "POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\nhalf".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert service.captions(images[0]).status_code == 200


def test_an_answer_that_takes_too_long(
    bundled: Captioner, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    caption = CaptionerClass.caption_prepared

    def slow(self: Captioner, *args: Any, **more: Any) -> Any:
        go.wait(60)
        return caption(self, *args, **more)

    monkeypatch.setattr(CaptionerClass, "caption_prepared", slow)
    with serving(bundled, seconds_to_answer=0.2) as service:
        assert service.captions(images[0]).status_code == 504
        go.set()


def test_only_the_loopback_address_and_no_page_may_ask(running: Running) -> None:
    get = running.client.get
    assert get("/v1/models", headers={"Host": "evil.example:80"}).status_code == 403
    assert get("/v1/models", headers={"Host": "localhost:5"}).status_code == 200
    assert get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
    assert get("/v1/models", headers={"Origin": "null"}).status_code == 403


def test_pages_of_an_allowed_origin_may_ask(bundled: Captioner, images: list[Path]) -> None:
    page = {"Origin": "https://a.org"}
    with serving(bundled, token=TOKEN, allow_origin=("https://a.org",)) as service:
        asks = {**page, "Access-Control-Request-Method": "POST"}
        asks["Access-Control-Request-Headers"] = "authorization,content-type"
        before = httpx.options(f"{service.url}/v1/captions", headers=asks)
        assert before.status_code == 200
        assert before.headers["Access-Control-Allow-Origin"] == "https://a.org"
        refused = httpx.post(f"{service.url}/v1/captions", headers=page)
        assert refused.status_code == 401, "the page may read why"
        assert refused.headers["Access-Control-Allow-Origin"] == "https://a.org"
        service.client.headers["Origin"] = "https://a.org"
        assert service.captions(images[0]).status_code == 200
        service.client.headers["Origin"] = "https://b.org"
        assert service.captions(images[0]).status_code == 403


def test_a_token_opens(bundled: Captioner) -> None:
    with serving(bundled, token=TOKEN) as service:
        assert service.client.get("/v1/models", headers={"Host": "any.org"}).status_code == 200
        for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xff"):
            headers = {"Authorization": given.encode("latin-1")}
            for path in ("/v1/models", "/metrics", "/v1/captions", "/nothing"):
                assert httpx.get(service.url + path, headers=headers).status_code == 401
        assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_health_and_metrics(running: Running, bundled: Captioner, images: list[Path]) -> None:
    running.captions(images[0])
    health = running.client.get("/healthz").json()
    assert health["status"] == "ok" and health["revision"] == bundled.model.fingerprint
    text = running.client.get("/metrics").text
    assert 'capgen_requests_total{route="/v1/captions",status="200"}' in text
    assert "capgen_batch_images_bucket" in text and "capgen_images 0.0" in text
    assert 'capgen_stage_seconds_count{stage="model"}' in text
    assert running.client.get("/nothing").status_code == 404
    assert running.client.get("/v1/captions").status_code == 405


def test_the_openai_library_works(running: Running, bundled: Captioner, images: list[Path]) -> None:
    import openai

    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0)
    parts = [
        {"type": "text", "text": "What is in this image?"},
        {"type": "image_url", "image_url": {"url": data_url(images[0])}},
    ]
    messages: Any = [{"role": "user", "content": parts}]
    expected = bundled.caption(images[0]).text
    assert [model.id for model in client.models.list()] == ["mini"]
    answer = client.chat.completions.create(
        model="mini", messages=messages, temperature=0, max_tokens=300
    )
    assert answer.choices[0].message.content == expected
    assert answer.usage is not None and answer.usage.completion_tokens > 0
    assert json.loads(answer.to_json())["capgen"]["notes"]
    stream = client.chat.completions.create(model="mini", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == expected
    several = client.chat.completions.create(
        model="mini", messages=messages, n=2, temperature=1, seed=3
    )
    assert len(several.choices) == 2
    with pytest.raises(openai.BadRequestError, match="no image"):
        client.chat.completions.create(model="mini", messages=[{"role": "user", "content": "hi"}])
    broken: Any = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="mini", messages=broken)
    assert caught.value.code == "not_an_image"


def test_capgen_itself_can_ask_it(running: Running, images: list[Path]) -> None:
    asks = Captioner.from_endpoint(f"{running.url}/v1")
    caption = asks.caption(images[0])
    assert caption.text and caption.tokens and caption.usage is not None


def test_each_request_has_its_own_prompt(images: list[Path]) -> None:
    """A model that answers: here, on another server."""
    import openai

    with chatting() as chat, serving(Captioner.from_endpoint(chat.url, retries=0)) as service:
        answer = service.captions(images[0], prompt="What colour?", system="Be brief.")
        assert answer.status_code == 200 and answer.json()["prompt"] == "What colour?"
        client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="any", max_retries=0)
        parts: Any = [
            {"type": "image_url", "image_url": {"url": data_url(images[1])}},
            {"type": "text", "text": "What shape?"},
        ]
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
        asked = [json.dumps(request["messages"]) for request in chat.requests]
        assert "What colour?" in asked[0] and "Be brief." in asked[0]
        assert "What shape?" in asked[1] and "Be brief." not in asked[1]
        refused = service.captions(images[0], start_with="A")
        assert refused.status_code == 400 and "start_with" in refused.json()["error"]["message"]


def test_a_model_in_a_folder_does_not_tell_where(
    images: list[Path], bundled: Captioner, tmp_path: Path
) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(bundled.folder.path, folder)
    captioner = Captioner.from_pretrained(folder)
    with serving(captioner, name="my-model") as service:
        for options in ({}, {"confidence": "true", "beams": "7"}, {"min_confidence": "1"}):
            answer = service.captions(images[0], b"no image", **options)
            assert str(tmp_path) not in answer.text and "my-model" in answer.text


def test_a_model_that_follows_prompts_answers_each_request(
    images: list[Path], tmp_path: Path
) -> None:
    captioner = Captioner.from_pretrained(tiny_prompted.llava(tmp_path / "tiny"), device="cpu")
    expected = captioner.caption(images[0], max_length=8).text
    with serving(captioner, name="tiny") as service, ThreadPoolExecutor(6) as pool:
        questions = ["What colour?", "What shape?", "Who?"] * 2
        answers = [
            pool.submit(service.captions, images[0], prompt=question, max_length="8")
            for question in questions
        ]
        asked = [answer.result().json()["prompt"] for answer in answers]
        assert asked == questions
        assert service.captions(images[0], max_length="8").json()["caption"] == expected
        resolver = service.service.resolver
        texts = []
        for options in ({"system": "Be brief."}, {}):
            one = resolver.resolve(resolver.defaults.with_given(options))
            made = one.prepare(images[0].read_bytes(), None, ImageLimits())
            assert isinstance(made, Prepared)
            content: Any = made.input.content
            texts.append(captioner.runtime.decode(content["input_ids"][0].tolist()))
    assert "Be brief." in texts[0] and "Be brief." not in texts[1]


def test_a_connection_that_says_nothing_is_closed(
    bundled: Captioner, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SECONDS_FOR_HEAD", 0.2)
    monkeypatch.setattr(server, "_SECONDS_IDLE", 0.2)
    with serving(bundled) as service:
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            assert connection.recv(1) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal")
            while piece := connection.recv(1000):
                assert not piece.startswith(b"HTTP/1.1 4")
        assert service.captions(images[0]).status_code == 200


def test_there_are_only_so_many_connections(bundled: Captioner) -> None:
    with serving(bundled, connections=3) as service:
        port = int(service.url.rpartition(":")[2])
        assert service.client.get("/healthz").status_code == 200
        others = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        while service.client.get("/healthz").status_code != 503:  # both have arrived
            pass
        for other in others:
            other.close()
        while service.client.get("/healthz").status_code != 200:
            pass
