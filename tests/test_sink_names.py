from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sink.names import LONGEST, level, name_of, node, slug, token

NAMES = st.one_of(st.text(), st.text("a/+#\0~%. _-é", max_size=12), st.text(min_size=LONGEST))
TOPIC_LEVEL = re.compile(r"[A-Za-z0-9_.%~-]+")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("person", "person", id="most names stay"),
        pytest.param("traffic light", "traffic%20light", id="space"),
        pytest.param("a/b+c#d", "a%2Fb%2Bc%23d", id="what parts topics and matches any"),
        pytest.param("\0", "%00", id="NUL"),
        pytest.param("人", "%E4%BA%BA", id="another script"),
        pytest.param("~", "%7E", id="the sign of a shortened one"),
        pytest.param("", "~", id="empty"),
    ],
)
def test_level_of_a_name_is_safe(name: str, expected: str):
    assert level(name) == expected
    assert name_of(expected) == name


@given(NAMES)
def test_level_of_any_name_is_one_level_of_a_topic(name: str):
    assert TOPIC_LEVEL.fullmatch(level(name))
    assert len(level(name)) <= LONGEST


@given(NAMES)
def test_level_of_any_name_gives_the_name_back_or_says_that_it_cannot(name: str):
    back = name_of(level(name))
    assert back == name or (back is None and len(level(name)) == LONGEST)


@given(st.lists(NAMES, unique=True))
def test_names_that_differ_never_come_out_the_same(names: list[str]):
    for made in (level, token, node):
        assert len({made(name) for name in names}) == len(names)


@given(st.text(max_size=LONGEST + 20))
def test_name_of_any_text_is_a_name_that_is_written_so(text: str):
    name = name_of(text)
    assert name is None or level(name) == text


@given(NAMES)
def test_token_of_any_name_is_one_token_of_a_subject(name: str):
    assert TOPIC_LEVEL.fullmatch(token(name))
    assert "." not in token(name)


@given(NAMES)
def test_node_of_any_name_is_taken_by_home_assistant(name: str):
    assert re.fullmatch(r"[A-Za-z0-9_-]+", node(name))


@given(st.lists(NAMES))
def test_slug_of_any_names_is_an_entity(names: list[str]):
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*_?", slug(*names))
