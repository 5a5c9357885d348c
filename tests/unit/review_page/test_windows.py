"""What windows hear of each other."""

from __future__ import annotations

import asyncio

from capgen.review_page.windows import Windows


def test_a_window_hears_the_others_and_the_end() -> None:
    async def run() -> dict[str, list[bytes]]:
        windows = Windows()
        heard: dict[str, list[bytes]] = {"one": [], "two": []}
        greeted = asyncio.Semaphore(0)

        async def listen(name: str) -> None:
            async for event in windows.listen(name):
                heard[name].append(event)
                greeted.release()

        tasks = [asyncio.create_task(listen(name)) for name in heard]
        for _ in tasks:
            await greeted.acquire()
        windows.tell_others("one", {"items": [1]})
        windows.close()
        await asyncio.gather(*tasks)
        return heard

    heard = asyncio.run(run())
    bye = b"event: bye\ndata: {}\n\n"
    assert heard["one"][1:] == [bye]
    assert heard["two"][1:] == [b'data: {"items": [1]}\n\n', bye]


def test_who_comes_after_the_end_hears_of_it() -> None:
    async def run() -> list[bytes]:
        windows = Windows()
        windows.close()
        return [event async for event in windows.listen("late")]

    assert asyncio.run(run())[-1] == b"event: bye\ndata: {}\n\n"
