from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.redact import MASK, redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("gate is live", "gate is live", id="no address"),
        pytest.param("rtsp://10.0.0.1/live", "rtsp://10.0.0.1/live", id="no credentials"),
        pytest.param("rtsp://bob:hunter2@10.0.0.1/live", "rtsp://***@10.0.0.1/live", id="user and password"),
        pytest.param("rtsp://bob@10.0.0.1/live", "rtsp://***@10.0.0.1/live", id="user alone"),
        pytest.param("rtsp://bob:p@ss@10.0.0.1/live", "rtsp://***@10.0.0.1/live", id="password with @"),
        pytest.param("rtsp://bob:p/ss@10.0.0.1/live", "rtsp://***@10.0.0.1/live", id="password with /"),
        pytest.param(
            "http://cam/snap?user=bob&pwd=hunter2&ch=1", "http://cam/snap?user=***&pwd=***&ch=1", id="in the query"
        ),
        pytest.param("http://cam/?API_KEY=s3cret#top", "http://cam/?API_KEY=***#top", id="key in capitals"),
        pytest.param(
            "[tcp @ 0x55] cannot open 'rtsp://a:b@cam1/x' nor \"rtsps://c:d@cam2/y\"",
            "[tcp @ 0x55] cannot open 'rtsp://***@cam1/x' nor \"rtsps://***@cam2/y\"",
            id="two in one message of FFmpeg",
        ),
        pytest.param("write to ops@example.com", "write to ops@example.com", id="an e-mail address stays"),
    ],
)
def test_redact_text_masks_credentials_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_redact_exception_masks_its_message() -> None:
    assert redact(OSError("no route to rtsp://bob:hunter2@10.0.0.1/")) == "no route to rtsp://***@10.0.0.1/"


_PASSWORD = st.text(st.characters(codec="ascii", exclude_characters="'\"", min_codepoint=33), min_size=4, max_size=20)


@settings(deadline=None)
@given(password=_PASSWORD)
def test_redact_any_password_never_survives(password: str) -> None:
    masked = redact(f"error: rtsp://viewer:{password}@host.example/stream: 401")
    assert masked == f"error: rtsp://{MASK}@host.example/stream: 401"


@settings(deadline=None)
@given(password=_PASSWORD)
def test_redact_twice_is_redact_once(password: str) -> None:
    once = redact(f"rtsp://viewer:{password}@host/?token={password}")
    assert redact(once) == once
