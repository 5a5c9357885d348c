"""The server of `capgen review`, asked over HTTP on the loopback interface."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from capgen.config import ModelOptions
from capgen.errors import StorageError, UsageError
from capgen.records import CaptionFailure, Concept, Token
from capgen.review_page.serve import listen
from capgen.reviews.journal import read_reviews, reviews_path
from capgen.reviews.reviewed_records import read_reviewed
from tests.fakes import draw_image, write_records
from tests.review_servers import Running, change, decide, running
from tests.unit.reviews.made import caption


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Four images that are there, one that is gone, one that is no image, one without a caption."""
    path = tmp_path / "captions.jsonl"
    for number in range(4):
        draw_image(number, (800, 600)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "5.jpg").write_text("no image")
    tokens = (Token(id=1, text="a", log_probability=-0.5),)
    full = replace(
        caption(0, 0.5),
        tokens=tokens,
        alternatives=(caption(0, text="a cat"),),
        concepts=(Concept("dog", 0.75),),
        model="mini",
        width=800,
        height=600,
        prompt="what?",
    )
    failure = CaptionFailure(path="5.jpg", code="not_an_image", message="no image", sha256="5")
    write_records(path, [full, *(caption(number, 0.1 * number) for number in range(1, 5)), failure])
    return path


@pytest.fixture
def server(records: Path) -> Iterator[Running]:
    with running(records) as found:
        yield found


@pytest.fixture
def client(server: Running) -> httpx.Client:
    return server.client


def error_of(answer: httpx.Response) -> str:
    content = answer.json()
    assert set(content) == {"error", "hint"}
    return content["error"]


def test_the_list_has_every_image(client: httpx.Client) -> None:
    found = client.get("/api/items").json()
    assert (found["name"], found["by"]) == ("captions.jsonl", "ann")
    assert [row["id"] for row in found["items"]] == list(range(6))
    assert [row["missing"] for row in found["items"]] == [False] * 4 + [True, False]
    assert found["items"][5]["error"] == "not_an_image"
    assert sorted(found["random"]) == list(range(6))


def test_an_image_has_all_that_is_known_about_it(client: httpx.Client) -> None:
    decide(client, change(0, verdict="edited", caption="a cow"))
    found = client.get("/api/item/0").json()
    assert found["alternatives"] == [{"caption": "a cat", "score": -0.2}]
    assert found["words"][0]["text"] == "a"
    assert found["concepts"] == [{"name": "dog", "probability": 0.75}]
    facts = ("model", "prompt", "width", "height", "by", "caption", "proposed")
    assert [found[name] for name in facts] == [
        *("mini", "what?", 800, 600, "ann", "a cow", "a dog runs")
    ]
    (past,) = found["history"]
    assert (past["verdict"], past["caption"], past["by"]) == ("edited", "a cow", "ann")
    assert past["at"] == found["at"] != ""
    assert client.get("/api/item/5").json()["message"] == "no image"
    assert error_of(client.get("/api/item/6")) == "There is no such image"


def test_what_was_answered_is_in_the_file(client: httpx.Client, records: Path) -> None:
    answer = decide(client, change(0), change(1, verdict="edited", caption="a cat"))
    assert [row["verdict"] for row in answer.json()["items"]] == ["accepted", "edited"]
    # Read as another process would while the server runs.
    assert [record.review is not None for record in read_reviewed(records)[:3]] == [
        *(True, True, False)
    ]
    assert read_reviewed(records)[1].text == "a cat"  # type: ignore[union-attr]


def test_two_windows_do_not_overwrite_each_other(client: httpx.Client) -> None:
    assert decide(client, change(0), change(1), window="one").status_code == 200
    answer = decide(client, change(1, verdict="rejected"), change(2), window="two")
    assert answer.status_code == 409
    (row,) = answer.json()["conflicts"]
    assert (row["id"], row["verdict"], row["version"]) == (1, "accepted", 1)
    assert client.get("/api/items").json()["items"][2]["verdict"] is None
    assert decide(client, change(1, 1, "rejected"), window="two").status_code == 200
    undone = client.post("/api/undo", json={"window": "one"})
    assert undone.status_code == 409
    assert [row["id"] for row in undone.json()["conflicts"]] == [1]


def test_of_many_windows_at_once_exactly_one_wins(server: Running) -> None:
    def ask(number: int) -> int:
        with httpx.Client(
            base_url=server.client.base_url, cookies=server.client.cookies, timeout=60
        ) as client:
            asked = change(0, verdict="edited", caption=f"window {number}")
            return decide(client, asked, window=str(number)).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(16)))
    assert sorted(codes) == [200, *[409] * 15]
    winner = codes.index(200)
    assert server.client.get("/api/item/0").json()["caption"] == f"window {winner}"


def test_undo_over_http(client: httpx.Client) -> None:
    decide(client, change(0), change(3, verdict="rejected"))
    rows = client.post("/api/undo", json={"window": "one"}).json()["items"]
    assert [(row["id"], row["verdict"], row["version"]) for row in rows] == [
        (0, None, 2),
        (3, None, 2),
    ]
    answer = client.post("/api/undo", json={"window": "one"})
    assert answer.status_code == 404
    assert "Nothing to undo" in error_of(answer)


def test_a_window_hears_what_others_do_and_that_the_server_ends(server: Running) -> None:
    heard: list[str] = []
    connected = threading.Event()

    def hear() -> None:
        with server.client.stream("GET", "/api/events", params={"window": "one"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                heard.append(line)
                connected.set()

    listener = threading.Thread(target=hear)
    listener.start()
    assert connected.wait(30)
    decide(server.client, change(0), window="one")
    decide(server.client, change(1, verdict="edited", caption="a cat"), window="two")
    server.server.stop()
    listener.join(30)
    assert not listener.is_alive()
    data = [
        json.loads(line.removeprefix("data: ")) for line in heard if line.startswith('data: {"')
    ]
    assert [[row["caption"] for row in each["items"]] for each in data] == [["a cat"]]
    assert "event: bye" in heard


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"[]",
        b"[" * 100_000,
        b'{"window": "w"}',
        b'{"window": "", "changes": []}',
        b'{"window": "w", "changes": [{"id": 0}]}',
        b'{"window": "w", "changes": [{"id": 77, "version": 0, "verdict": "accepted"}]}',
        b'{"window": "w", "changes": [{"id": 5, "version": 0, "verdict": "accepted"}]}',
    ],
)
def test_wrong_requests_are_refused(client: httpx.Client, content: bytes) -> None:
    answer = client.post(
        "/api/decide", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert error_of(answer)
    assert client.get("/api/items").json()["items"][0]["verdict"] is None


def test_a_form_of_another_kind_and_other_methods_are_refused(client: httpx.Client) -> None:
    body = json.dumps({"window": "w", "changes": [change(0)]})
    answer = client.post("/api/decide", content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert client.get("/api/decide").status_code == 405
    assert client.get("/nothing").status_code == 404


@pytest.mark.parametrize("kind", [["best"], {"a": 1}, 1, None, "worst"])
def test_alternatives_of_an_unknown_kind_are_refused(client: httpx.Client, kind: object) -> None:
    answer = client.post("/api/alternatives/0", json={"kind": kind})
    assert answer.status_code == 400
    assert "'kind'" in error_of(answer)


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def test_images_are_shown_by_id(client: httpx.Client) -> None:
    small = client.get("/thumb/0")
    assert small.headers["content-type"] == "image/webp"
    assert opened(small).size == (240, 180)
    large = client.get("/image/0", params={"size": 640})
    assert large.headers["content-type"] == "image/jpeg"
    assert opened(large).size == (640, 480)
    assert opened(client.get("/image/0", params={"size": 10**9})).size == (800, 600)
    assert client.get("/image/0", params={"size": "large"}).status_code == 400


def test_an_image_that_did_not_change_is_not_sent_again(
    client: httpx.Client, records: Path
) -> None:
    first = client.get("/thumb/0")
    assert first.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get("/thumb/0", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/image/0?size=640", headers=known).status_code == 200
    draw_image(9, (400, 600)).save(records.with_name("0.jpg"))
    os.utime(records.with_name("0.jpg"), (1, 1))
    assert opened(client.get("/thumb/0", headers=known)).size == (160, 240)


@pytest.mark.parametrize("kind", ["thumb", "image"])
def test_an_image_that_cannot_be_shown_says_why(client: httpx.Client, kind: str) -> None:
    gone, broken = client.get(f"/{kind}/4"), client.get(f"/{kind}/5")
    assert (gone.status_code, broken.status_code) == (404, 404)
    assert "no such file" in error_of(gone)
    assert "not an image" in error_of(broken)


def test_formats_that_browsers_do_not_know_are_shown(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    names = ("a.heic", "b.tiff", "c.bmp", "d.avif")
    for name in names:
        draw_image(1, (320, 240)).save(tmp_path / name)
    truncated = tmp_path / "e.jpg"
    draw_image(1, (320, 240)).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:-200])
    path = tmp_path / "captions.jsonl"
    write_records(path, [replace(caption(0), path=name) for name in (*names, "e.jpg")])
    with running(path) as server:
        for number in range(5):
            assert opened(server.client.get(f"/thumb/{number}")).size == (240, 180)


@pytest.mark.parametrize(
    "path",
    [
        *("/thumb/../captions.jsonl", "/thumb/0.jpg", "/image/%2e%2e%2fcaptions.jsonl"),
        *("/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/thumb/-1"),
        *("/static/..\\app.py", "/image/1.0", pytest.param("/thumb/" + "9" * 5000, id="digits")),
    ],
)
def test_no_path_reaches_a_file(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert error_of(answer)


def test_nothing_is_given_without_the_token(server: Running) -> None:
    with httpx.Client(base_url=server.client.base_url) as stranger:
        page = stranger.get("/")
        assert page.status_code == 403
        assert "capgen review" in page.text
        for path in (
            "/api/items",
            "/api/item/0",
            "/thumb/0",
            "/image/0",
            "/api/events",
            "/static/a",
        ):
            assert stranger.get(path).status_code == 403
        assert decide(stranger, change(0)).status_code == 403
        assert stranger.get("/", params={"token": "guess"}).status_code == 403
        assert stranger.get("/api/items", params={"token": server.access.token}).status_code == 403
        stranger.cookies.set(f"capgen_review_{server.port}", "guess")
        assert stranger.get("/api/items").status_code == 403


def test_the_cookie_is_for_this_server_and_no_script(server: Running) -> None:
    answer = httpx.get(f"http://127.0.0.1:{server.port}/", params={"token": server.access.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"capgen_review_{server.port}=")
    assert "httponly" in cookie and "samesite=strict" in cookie


def test_a_link_on_another_site_opens_the_page_without_a_redirect(server: Running) -> None:
    """After a redirect from elsewhere, the browser would not send the cookie."""
    answer = httpx.get(
        f"http://127.0.0.1:{server.port}/",
        params={"token": server.access.token},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 200
    assert "refresh" in answer.text and "set-cookie" in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"])
def test_another_host_is_refused(server: Running, host: str) -> None:
    """A name that somebody pointed to 127.0.0.1 (DNS rebinding)."""
    host = host.format(port=server.port)
    for path in ("/api/items", f"/?token={server.access.token}"):
        answer = server.client.get(path, headers={"Host": host})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_localhost_is_the_same_host(server: Running) -> None:
    host = {"Host": f"localhost:{server.port}"}
    assert server.client.get("/api/items", headers=host).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_is_refused(server: Running, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=server.port) for name, value in headers.items()}
    body = {"window": "w", "changes": [change(0)]}
    assert server.client.post("/api/decide", json=body, headers=sent).status_code == 403
    assert server.client.get("/thumb/0", headers=sent).status_code == 403
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
    assert server.client.post("/api/decide", json=body, headers=own).status_code == 200


def test_every_answer_keeps_other_sites_out(server: Running) -> None:
    refused = httpx.get(f"http://127.0.0.1:{server.port}/api/items")
    for answer in (server.client.get("/"), server.client.get("/thumb/0"), refused):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert server.client.get("/api/items").headers["cache-control"] == "no-store"


def test_only_the_loopback_interface_listens(server: Running) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        # Only possible if nobody listens on all interfaces.
        other.bind(("127.0.0.2", server.port))


def test_a_port_that_is_taken_is_refused() -> None:
    with listen(0) as taken, pytest.raises(UsageError, match="--port"):
        listen(taken.getsockname()[1])


def test_a_second_review_of_the_same_file_is_refused(server: Running, records: Path) -> None:
    with pytest.raises(StorageError, match="Another process"), running(records):
        pass


def test_names_that_are_no_text_come_through(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    path = tmp_path / "captions.jsonl"
    write_records(path, [replace(caption(0), path=name)])
    try:
        draw_image(0, (80, 60)).save(tmp_path / "ok.jpg")
        (tmp_path / "ok.jpg").rename(tmp_path / name)
    except OSError:
        pytest.skip("this disk has no such names")
    with running(path) as server:
        (row,) = server.client.get("/api/items").json()["items"]
        assert row["path"] == name
        assert opened(server.client.get("/thumb/0")).size == (80, 60)
        assert decide(server.client, change(0)).status_code == 200
    assert read_reviewed(path)[0].review is not None  # type: ignore[union-attr]


def test_a_full_disk_is_an_error_and_nothing_counts(
    make_disk: Callable[[str], Path],
) -> None:
    disk = make_disk("64k")
    path = disk / "captions.jsonl"
    write_records(path, [caption(number) for number in range(8)])
    with running(path) as server:
        assert decide(server.client, change(0)).status_code == 200
        with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(b"x" * 1024)
        answer = decide(
            server.client, change(1, verdict="edited", caption="long " * 3000), change(2)
        )
        assert answer.status_code == 507
        assert "No space left" in error_of(answer)
        rows = server.client.get("/api/items").json()["items"]
        assert [row["verdict"] for row in rows[:3]] == ["accepted", None, None]
        (disk / "filler").unlink()
        assert (
            decide(server.client, change(1, verdict="edited", caption="short")).status_code == 200
        )
    saved = read_reviews(reviews_path(path))
    assert [bool(saved.find(caption(number))) for number in range(3)] == [True, True, False]


def test_find_and_replace_is_a_preview(client: httpx.Client) -> None:
    asked = {"find": "dog", "replace": "cat", "ids": [0, 5, 3, 99, "x"]}
    found = client.post("/api/replace", json=asked).json()
    assert found["changes"] == [
        {"id": number, "before": "a dog runs", "after": "a cat runs"} for number in (0, 3)
    ]
    assert client.get("/api/items").json()["items"][0]["caption"] == "a dog runs"
    wrong = client.post("/api/replace", json={**asked, "find": "(", "regex": True})
    assert wrong.status_code == 400
    assert "missing )" in error_of(wrong)
    assert client.post("/api/replace", json={**asked, "ids": None}).status_code == 400


def test_orders(client: httpx.Client) -> None:
    assert client.get("/api/like/2").json()["ids"][0] == 2
    gain = client.get("/api/gain").json()["ids"]
    assert sorted(gain) == list(range(6))
    decide(client, change(gain[0], verdict="rejected"))
    assert client.get("/api/gain").json()["ids"][-1] == gain[0]


def test_agreement(client: httpx.Client) -> None:
    decide(client, change(0), change(1, verdict="rejected"))
    found = client.get("/api/agreement").json()
    assert [found[name] for name in ("reviewed", "accepted", "edited", "rejected")] == [2, 1, 0, 1]
    (inside,) = found["bins"]
    assert (inside["reviewed"], inside["accepted"]) == (2, 1)
    assert inside["mean_confidence"] == pytest.approx(0.3)


def test_a_model_from_elsewhere_is_not_fetched_and_nothing_is_sent(tmp_path: Path) -> None:
    draw_image(0, (80, 60)).save(tmp_path / "0.jpg")
    path = tmp_path / "captions.jsonl"
    names = ("somebody/model", "http://127.0.0.1:9/v1", "blip-base")
    served = replace(caption(0), model="mini", revision="http://127.0.0.1:9/v1")
    write_records(path, [*(replace(caption(0), model=name) for name in names), served])
    with running(path) as server:
        for number in range(4):
            for answer in (
                server.client.post(f"/api/alternatives/{number}", json={"kind": "beams"}),
                server.client.get(f"/looked/{number}"),
            ):
                assert answer.status_code == 422
                assert "is not on this machine" in error_of(answer)


def test_the_model_gives_alternatives_and_shows_where_it_looked(tmp_path: Path) -> None:
    from capgen import Captioner

    draw_image(3, (320, 240)).save(tmp_path / "0.jpg")
    made = Captioner.from_pretrained().caption(tmp_path / "0.jpg")
    path = tmp_path / "captions.jsonl"
    own = replace(made, path="0.jpg", sha256="0")
    bare = replace(caption(0), path="0.jpg")  # as from a table
    write_records(path, [own, bare, replace(own, path="gone.jpg")])
    with running(path) as server:
        beams = server.client.post("/api/alternatives/0", json={"kind": "beams"}).json()["captions"]
        assert len(beams) == 5
        assert beams[0]["caption"] == made.text
        assert len({each["caption"] for each in beams}) == 5
        diverse = server.client.post("/api/alternatives/1", json={"kind": "diverse"}).json()
        assert len(diverse["captions"]) > 1
        assert diverse["captions"] != beams
        drawn = [opened(server.client.get(f"/looked/{number}")) for number in (0, 1)]
        assert all(image.format == "PNG" for image in drawn)
        assert drawn[0].tobytes() == drawn[1].tobytes()  # made again, it says the same
        gone = server.client.get("/looked/2")
        assert gone.status_code == 422
        assert "no such file" in error_of(gone)
        wrong = server.client.post("/api/alternatives/0", json={"kind": "best"})
        assert wrong.status_code == 400


def test_a_model_named_by_the_user_is_asked_about_any_record(tmp_path: Path) -> None:
    draw_image(3, (320, 240)).save(tmp_path / "0.jpg")
    path = tmp_path / "captions.jsonl"
    write_records(path, [replace(caption(0), model="somebody/model")])
    with running(path, ModelOptions(model="mini")) as server:
        answer = server.client.post("/api/alternatives/0", json={"kind": "beams"})
        assert answer.status_code == 200
        assert server.client.get("/looked/0").status_code == 200
