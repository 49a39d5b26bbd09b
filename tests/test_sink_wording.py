from __future__ import annotations

import pytest

from pipeline.sink.wording import said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            ConnectionRefusedError(111, "Connection refused"), "Connection refused", id="number of the system"
        ),
        pytest.param("[code:135] Not authorized", "Not authorized", id="of MQTT"),
        pytest.param("nats: timeout", "timeout", id="of NATS"),
        pytest.param("Error 111 connecting to 127.0.0.1:1.", "connecting to 127.0.0.1:1", id="full stop"),
        pytest.param(OSError("no way to mqtt://bob:hunter2@h"), "no way to mqtt://***@h", id="password"),
        pytest.param(TimeoutError(), "TimeoutError", id="no words"),
    ],
)
def test_said_is_a_part_of_a_sentence(error: object, expected: str):
    assert said(error) == expected
