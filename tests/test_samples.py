"""The sample recordings are what their ground truth says, and the renderer that made them keeps its word."""

from __future__ import annotations

import configparser
import sys
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import make_samples
from town.camera import Camera
from town.chance import FAR, NEAR, Taste, random_camera, random_moment, random_town
from town.look import KINDS, dress
from town.measure import ExportedModel, Truth, box_iou, match, measure, recording
from town.motion import Cast, cast_trips, circles, gap
from town.plan import plan_town
from town.scene import Pose, Stage
from town.scenery import TownPainter

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = ("gate", "yard", "crossing", "street", "parking", "park")
FRAMES = 300
MODEL = SAMPLES / "model" / "demo_openvino_model"


@cache
def truth_rows(name: str) -> Any:
    """Rows (N, 9) of a recording's gt.txt."""
    return np.loadtxt(SAMPLES / "ground_truth" / name / "gt" / "gt.txt", delimiter=",")


@cache
def painter() -> TownPainter:
    return TownPainter(plan_town(make_samples.SEED))


@cache
def gate() -> tuple[Stage, list[Any]]:
    """The stage and trips that gate.mp4 was made from."""
    town = painter().town
    shot = make_samples.shots(town)[0]
    camera = Camera(np.array(shot.position, float), np.array(shot.target, float), shot.fov_deg)
    cast = Cast(shot.spots, shot.wanted, shot.seed + 100 * make_samples.SEED)
    return Stage(painter().backdrop(camera, shot.light)), cast_trips(town, camera, cast, make_samples.SECONDS)


@pytest.mark.parametrize("name", NAMES)
def test_recording_is_encoded_as_a_camera_would(name: str) -> None:
    with av.open(str(SAMPLES / f"{name}.mp4")) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    context = stream.codec_context
    assert (context.name, context.width, context.height, context.pix_fmt) == ("h264", 640, 360, "yuv420p")
    assert stream.average_rate == 25
    assert len(packets) == FRAMES
    assert keys == list(range(0, FRAMES, 25))
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets], "B-frames reorder"


def test_recordings_together_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.mp4")) <= 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_ground_truth_is_well_formed(name: str) -> None:
    rows = truth_rows(name)
    frame, identity, x, y, width, height, confidence, kind, visibility = rows.T
    assert set(frame) == set(range(1, FRAMES + 1))
    assert len(set(zip(frame, identity, strict=True))) == len(rows), "an id twice on a frame"
    assert (x >= 1).all() and (y >= 1).all() and (width > 0).all() and (height > 0).all()
    assert (x - 1 + width <= 640.02).all() and (y - 1 + height <= 360.02).all()
    assert (confidence == 1).all() and ((visibility > 0) & (visibility <= 1)).all()
    assert set(kind) <= {1, 2, 3, 4}
    assert set(identity) == set(range(1, len(set(identity)) + 1))
    assert all(len(set(kind[identity == one])) == 1 for one in set(identity)), "an id that changes its class"


@pytest.mark.parametrize("name", NAMES)
def test_seqinfo_matches_the_recording(name: str) -> None:
    info = configparser.ConfigParser()
    info.read(SAMPLES / "ground_truth" / name / "seqinfo.ini")
    found = {key: info["Sequence"][key] for key in ("name", "frameRate", "seqLength", "imWidth", "imHeight")}
    assert found == {"name": name, "frameRate": "25", "seqLength": "300", "imWidth": "640", "imHeight": "360"}


@pytest.mark.parametrize("name", NAMES)
def test_recording_ends_where_it_begins(name: str) -> None:
    rows = truth_rows(name)
    first, last = rows[rows[:, 0] == 1], rows[rows[:, 0] == FRAMES]
    first = first[(first[:, 8] > 0.9) & (first[:, 5] > 20)]
    assert len(first)
    for row in first:
        same = last[last[:, 7] == row[7]]
        assert np.abs(same[:, 2:6] - row[2:6]).max(axis=1).min() < 30, "the loop would jump"


def test_all_kinds_are_to_be_seen() -> None:
    seen = np.concatenate([truth_rows(name) for name in NAMES])
    large = seen[(seen[:, 5] > 20) & (seen[:, 8] > 0.5)]
    assert set(large[:, 7]) == {1, 2, 3, 4}


def test_make_samples_again_gives_the_recording() -> None:
    stage, trips = gate()
    picture, labels = make_samples.moment(stage, trips, 100 / 25, make_samples.SECONDS, 100)
    rows = truth_rows("gate")
    boxes = {tuple(row) for row in rows[rows[:, 0] == 101][:, [2, 3, 4, 5, 7]].round(1).tolist()}
    least = make_samples.LEAST_SHARE
    shown = [a for a in labels if a.visibility >= least and a.width >= 1 and a.height >= 1]
    again = {(a.x + 1, a.y + 1, a.width, a.height, KINDS.index(a.kind) + 1.0) for a in shown}
    assert len(again) == len(boxes)
    assert np.allclose(sorted(boxes), sorted(again), atol=0.06)
    with av.open(str(SAMPLES / "gate.mp4")) as container:
        decoded = next(f for i, f in enumerate(container.decode(video=0)) if i == 100).to_ndarray(format="bgr24")
    assert np.abs(decoded.astype(int) - picture).mean() < 4


def test_moment_twice_is_the_same_to_the_bit() -> None:
    stage, trips = gate()
    first, second = (make_samples.moment(stage, trips, 3.0, make_samples.SECONDS, 7) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert first[1] == second[1]


def test_actor_behind_a_van_keeps_its_box_and_loses_visibility() -> None:
    stage, _ = gate()
    eye, ahead = stage.backdrop.camera.position[:2], stage.backdrop.camera.axes[2][:2]
    ahead = ahead / np.linalg.norm(ahead)
    walker = Pose(1, dress("person", 1), eye + ahead * 14, 0.0, 0.0, moving=False)
    van = Pose(
        2, dress("van", 1), eye + ahead * 11.5, float(np.arctan2(ahead[1], ahead[0]) + np.pi / 2), 0.0, moving=False
    )
    alone = stage.moment([walker], np.random.default_rng(0))[1][0]
    hidden = next(a for a in stage.moment([walker, van], np.random.default_rng(0))[1] if a.actor_id == 1)
    assert alone.visibility > 0.95
    assert hidden.visibility < 0.6
    assert (hidden.x, hidden.y, hidden.width, hidden.height) == (alone.x, alone.y, alone.width, alone.height)


def test_actor_half_outside_is_cut_at_the_edge() -> None:
    stage, _ = gate()
    camera = stage.backdrop.camera
    side = (
        camera.position[:2] + camera.axes[2][:2] * 9 + camera.axes[0][:2] * 9 * np.tan(np.radians(camera.fov_deg / 2))
    )
    labels = stage.moment([Pose(1, dress("car", 3), side, 0.0, 0.0, moving=False)], np.random.default_rng(0))[1]
    assert len(labels) == 1
    assert labels[0].x + labels[0].width == 640
    assert labels[0].visibility < 0.9


def test_trips_never_run_into_each_other() -> None:
    _, trips = gate()
    for time_s in np.arange(0, make_samples.SECONDS, 0.4):
        bodies = [circles(pose) for trip in trips for pose in trip.poses(time_s, make_samples.SECONDS, 0)]
        cars = [body for body in bodies if body[0, 2] > 1]
        gaps = [gap(a, b) for i, a in enumerate(cars) for b in cars[:i]]
        assert min(gaps, default=1.0) >= 0.1


@pytest.mark.parametrize(("taste", "beyond"), [pytest.param(NEAR, False, id="near"), pytest.param(FAR, True, id="far")])
def test_taste_decides_how_far_off_anybody_is(taste: Taste, beyond: bool) -> None:
    rng, town = np.random.default_rng(4), random_town(3000)
    depths = []
    for _ in range(12):
        camera = random_camera(town, rng, taste)
        spots = np.array([[*pose.spot, 0.8] for pose in random_moment(town, camera, rng, taste)]).reshape(-1, 3)
        depths += camera.to_camera(spots)[:, 2].tolist()
    assert (max(depths) > 55) == beyond


BOX = (10.0, 10.0, 30.0, 50.0)
AWAY = (200.0, 10.0, 220.0, 50.0)


@pytest.mark.parametrize(
    ("found", "asked", "hits", "counted"),
    [
        pytest.param([(*BOX, 0.9, 0)], True, [True], [True], id="found"),
        pytest.param([(*BOX, 0.9, 1)], True, [False], [True], id="another_class_is_wrong"),
        pytest.param([(*AWAY, 0.9, 0)], True, [False], [True], id="elsewhere_is_wrong"),
        pytest.param([(*BOX, 0.9, 0), (*BOX, 0.8, 0)], True, [True, False], [True, True], id="twice_is_wrong_once"),
        pytest.param([(*BOX, 0.9, 0)], False, [False], [False], id="on_what_is_not_asked_for_does_not_count"),
    ],
)
def test_match_judges_detections(found: list[Any], asked: bool, hits: list[bool], counted: list[bool]) -> None:
    truth = Truth(np.array([BOX]), np.array([0]), np.array([asked]))
    hit, kept = match(np.array(found), truth)
    assert hit[:, 0].tolist() == hits
    assert kept.tolist() == counted


def test_box_iou_of_nothing_is_empty() -> None:
    assert box_iou(np.zeros((0, 4)), np.array([BOX])).shape == (0, 1)


def test_model_is_small_and_names_no_place_of_its_making() -> None:
    files = sorted(path.name for path in MODEL.iterdir())
    assert files == ["demo.bin", "demo.xml", "metadata.yaml"]
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 6_000_000
    for text in ((MODEL / "demo.xml").read_text(), (MODEL / "metadata.yaml").read_text()):
        assert not any(place in text for place in ("/tmp", "/home", "/root", "/work"))
    metadata = yaml.safe_load((MODEL / "metadata.yaml").read_text())
    assert metadata["names"] == dict(enumerate(KINDS))
    assert metadata["imgsz"] == [384, 640]


def test_model_finds_what_passes_the_gate() -> None:
    model = ExportedModel(MODEL / "demo.xml")
    truth = SAMPLES / "ground_truth" / "gate" / "gt" / "gt.txt"
    precision = measure(model, recording(SAMPLES / "gate.mp4", truth, every=30))
    assert (precision.pictures, (model.height, model.width)) == (10, (384, 640))
    assert precision.map50 >= 0.75
