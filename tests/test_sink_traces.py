"""Frames as traces, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from pipeline import Fleet
from pipeline.clock import NS_PER_MS
from pipeline.config.sinks.traces import TracesSink
from pipeline.errors import SinkError
from pipeline.sink.protocol import Place, Sink
from pipeline.sink.traces import FRAMES_AT_ONCE, open_sink
from tests.otlp_collector import Collector, attributes_of, collector
from tests.waiting import wait_until
from tests.wire_messages import ALL, FLEET, FRAME, STATE

PLANTED = "hunter2-is-secret"


@pytest.fixture
def there() -> Iterator[Collector]:
    with collector() as found:
        yield found


def sink_to(url: str, **settings: object) -> Sink:
    return open_sink(TracesSink.model_validate({"url": url, **settings}), Place("traces", "town", Path()))


def test_traces_frame_is_a_span_with_its_stages_below(there: Collector):
    sink_to(there.url).write(ALL)
    (whole,) = [span for span in there.spans if not span.parent_span_id]
    stages = [span for span in there.spans if span.parent_span_id]
    assert whole.name == "frame"
    assert [span.name for span in stages] == ["capture", "decode", "slot", "detect", "publish"]
    assert {span.parent_span_id for span in stages} == {whole.span_id}
    assert {span.trace_id for span in there.spans} == {whole.trace_id}
    assert there.resource == {"service.name": "camfleet", "service.namespace": "town"}


def test_traces_stages_follow_each_other_and_fill_the_frame(there: Collector):
    sink_to(there.url).write([FRAME])
    (whole,) = [span for span in there.spans if not span.parent_span_id]
    stages = [span for span in there.spans if span.parent_span_id]
    begins, ends = [one.start_time_unix_nano for one in stages], [one.end_time_unix_nano for one in stages]
    assert begins == [whole.start_time_unix_nano, *ends[:-1]]
    assert ends[-1] == whole.end_time_unix_nano == FRAME.published_at_ns
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == FRAME.age_ms * NS_PER_MS


def test_traces_span_says_what_became_of_the_frame(there: Collector):
    skipped = replace(FRAME, origin="skipped", filled_because="stale", tracks=(), age_ms=151.0, latency_ms={})
    sink = sink_to(there.url)
    sink.write([FRAME, FLEET, skipped])
    first, last = (attributes_of(span) for span in there.spans if not span.parent_span_id)
    assert (first["camfleet.camera"], first["camfleet.frame"], first["camfleet.origin"]) == ("gate", 7, "detected")
    assert first["camfleet.objects"] == 1
    assert "camfleet.late" not in first, "nobody had told the promise yet"
    assert (last["camfleet.late"], last["camfleet.filled_because"]) == (True, "stale")
    assert "camfleet.objects" not in last, "skipped is not empty"


def test_traces_frame_that_is_sent_again_has_the_same_ids(there: Collector):
    for _ in range(2):
        sink_to(there.url).write([FRAME])
    half = len(there.spans) // 2
    ids = [(span.trace_id, span.span_id) for span in there.spans]
    assert ids[:half] == ids[half:]
    assert len(set(ids)) == half == 6
    sink_to(there.url).write([replace(FRAME, frame_id=8)])
    assert there.spans[-1].trace_id != there.spans[0].trace_id


def test_traces_many_frames_go_in_several_requests(there: Collector):
    frames = [replace(FRAME, frame_id=number) for number in range(FRAMES_AT_ONCE + 1)]
    sink_to(there.url).write(frames)
    assert len(there.requests) == 2
    assert len({span.trace_id for span in there.spans}) == len(frames)


def test_traces_batch_without_frames_asks_nobody():
    sink_to("http://127.0.0.1:9/v1/traces").write([STATE, FLEET])


def test_traces_token_is_sent_and_shown_nowhere(there: Collector):
    sink_to(there.url, token=PLANTED).write([FRAME])
    assert there.authorization == f"Bearer {PLANTED}"
    assert PLANTED not in str(TracesSink.model_validate({"token": PLANTED}).model_dump())


@pytest.mark.parametrize("answer", [400, 401, 404])
def test_traces_collector_that_refuses_is_an_error_and_the_batch_comes_again(there: Collector, answer: int):
    sink = sink_to(there.url, token=PLANTED)
    there.answer = answer
    with pytest.raises(SinkError, match=r"^127\.0\.0\.1 takes no traces; ") as told:
        sink.write([FRAME])
    assert PLANTED not in str(told.value)
    there.answer = 200
    sink.write([FRAME])
    assert len(there.spans) == 6, "what was not sent before is not sent twice"


def test_traces_collector_that_is_away_is_an_error(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(SinkError, match="takes no traces"):
        sink_to("http://127.0.0.1:9/v1/traces", timeout_s=0.2).write([FRAME])
    assert capfd.readouterr() == ("", ""), "it is said by whoever tries again"


def test_traces_close_asks_nobody(there: Collector):
    sink = sink_to(there.url)
    sink.tick()
    sink.close()
    assert not there.requests


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "collector:4318"}, "expected an address such as http://127.0.0.1:4318/v1/traces"),
        ({"url": "http://[::1"}, "expected an address such as"),
        ({"url": f"http://bob:{PLANTED}@collector/v1/traces"}, "keep what is secret out of the address"),
        ({"url": f"http://collector/v1/traces?token={PLANTED}"}, "keep what is secret out of the address"),
        ({"token": f"{PLANTED}\n"}, "expected letters, digits and signs of ASCII"),
        ({"timeout_s": 0}, "greater than 0"),
    ],
)
def test_traces_wrong_setting_is_told_without_what_is_secret(settings: dict[str, object], words: str):
    with pytest.raises(ValidationError) as told:
        TracesSink.model_validate(settings)
    (error,) = told.value.errors(include_input=False)
    assert words in error["msg"]
    assert PLANTED not in error["msg"]


def test_traces_samples_a_frame_of_each_camera_now_and_then_unless_told_otherwise():
    assert (TracesSink().every_s, TracesSink(every_s=0).every_s) == (10.0, 0.0)


def cameras_of(found: Collector) -> set[object]:
    return {attributes_of(span)["camfleet.camera"] for span in found.spans if not span.parent_span_id}


def test_traces_of_a_running_fleet_are_seen_by_the_collector(
    there: Collector,
    fleet_file: Callable[..., Path],
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    within: Callable,
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cameras = {name: {"url": str(recording), "loop": True} for name in ("gate", "yard")}
    ways = {"kind": "traces", "url": there.url, "every_s": 0.2}
    with Fleet(fleet_file(cameras, sinks={"ways": ways})):
        wait_until(within, lambda: len(there.spans) > 60 and cameras_of(there) == {"gate", "yard"})
        wait_until(within, lambda: {"detect", "publish"} <= {span.name for span in there.spans})
    assert there.resource["service.namespace"] == "test"
