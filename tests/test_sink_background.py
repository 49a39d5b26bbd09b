from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from pipeline.sink.background import Background, silence


@pytest.fixture
def background():
    background = Background("test")
    yield background
    background.close()


async def _later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def _never() -> None:
    await asyncio.Event().wait()


async def _wrong() -> None:
    raise ValueError("wrong")


def test_background_gives_what_the_work_gives(background: Background):
    assert [background.run(_later(number), 10) for number in range(3)] == [0, 1, 2]


def test_background_work_that_takes_too_long_is_cancelled(background: Background):
    with pytest.raises(TimeoutError):
        background.run(_never(), 0.01)
    assert background.run(_later(1), 10) == 1


def test_background_raises_what_the_work_raises(background: Background):
    with pytest.raises(ValueError, match="wrong"):
        background.run(_wrong(), 10)


def test_background_goes_on_between_two_runs(background: Background):
    turned = threading.Event()

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(turn())

    async def turn() -> None:
        turned.set()

    background.run(begin(), 10)
    assert turned.wait(10)


def test_background_closed_while_work_is_blocked_ends_its_thread(background: Background):
    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(_never())

    task = background.run(begin(), 10)
    background.close()
    assert task.cancelled()
    assert background.closed
    assert "test" not in {thread.name for thread in threading.enumerate()}
    background.close()


def test_background_error_that_nobody_waits_for_is_not_printed_as_it_is(
    background: Background, capfd: pytest.CaptureFixture[str]
):
    async def begin() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "lost", "exception": OSError("mqtt://bob:hunter2@broker is away")}
        )

    background.run(begin(), 10)
    assert "hunter2" not in "".join(capfd.readouterr())


def test_silenced_library_writes_nothing_and_its_last_word_is_kept(capfd: pytest.CaptureFixture[str]):
    for _ in range(2):
        last = silence("a.library")
    logging.getLogger("a.library.part").warning("hunter%d", 2)
    assert last.text == "hunter2"
    assert len(logging.getLogger("a.library").handlers) == 1
    assert capfd.readouterr().err == ""
