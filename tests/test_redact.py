from __future__ import annotations

import pytest
from hypothesis import given
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
        pytest.param("rtsp://bob:p/ss@10.0.0.1/live", "rtsp://***", id="password with /"),
        pytest.param("rtsp://bob:p'ss@10.0.0.1/live", "rtsp://***", id="password with a quote"),
        pytest.param("http://cam/snap?pwd=a@b", "http://***", id="address that can be read in two ways"),
        pytest.param("http://cam/snap?user=bob&pwd=hunter2&ch=1", "http://cam/snap?***", id="in the query"),
        pytest.param("http://cam/?API_KEY=s3cret#top", "http://cam/?***", id="key in capitals"),
        pytest.param("http://cam/#s3cret", "http://cam/#***", id="in the fragment"),
        pytest.param("rtsp://cam/user=bob_password=x/1.sdp", "rtsp://cam/user=***/1.sdp", id="in the path"),
        pytest.param("/live?token=s3cret is gone", "/live?*** is gone", id="in the query of a path"),
        pytest.param("bob:hunter2@10.0.0.1/live", "***@10.0.0.1/live", id="without a scheme"),
        pytest.param("(see http://cam/x?a=1).", "(see http://cam/x?***).", id="at the end of a sentence"),
        pytest.param(
            '{"a":"rtsp://b:c@d/x","e":"http://f/?g"}', '{"a":"rtsp://***@d/x","e":"http://f/?***"}', id="JSON"
        ),
        pytest.param("Authorization: Basic Ym9i", "Authorization: ***", id="header"),
        pytest.param("-o access_token=s3cret -y", "-o access_token=*** -y", id="option"),
        pytest.param("tcp://*:5555 and ipc:///run/x", "tcp://*:5555 and ipc:///run/x", id="endpoints"),
        pytest.param("rtsp://[::1]:554/x", "rtsp://[::1]:554/x", id="IPv6"),
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


@given(password=_PASSWORD)
def test_redact_any_password_never_survives(password: str) -> None:
    masked = redact(f"error: rtsp://viewer:{password}@host.example/stream: 401")
    assert masked in (f"error: rtsp://{MASK}@host.example/stream: 401", f"error: rtsp://{MASK}: 401")


@given(password=_PASSWORD)
def test_redact_twice_is_redact_once(password: str) -> None:
    once = redact(f"rtsp://viewer:{password}@host/?token={password}")
    assert redact(once) == once
