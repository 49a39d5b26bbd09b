"""What is covered in pictures: masks and blurred objects, without a camera."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from pipeline.camera.orientation import UPRIGHT, Orientation
from pipeline.camera.resize import Resizer
from pipeline.config import load_fleet
from pipeline.config.privacy import Privacy
from pipeline.errors import PrivacyError
from pipeline.privacy import Cover, Hidden, Moments, at_capture
from pipeline.privacy.blur import CELLS, areas_of, pixelate
from pipeline.privacy.stencil import GREY, Stencil
from pipeline.supervise.changes import Changes, compare
from pipeline.wire import FrameResult, TrackedBox
from tests.fleet_files import STUB, told_of
from tests.wire_messages import FRAME

Picture = NDArray[np.uint8]
TRIANGLE = ((0.1, 0.15), (0.62, 0.3), (0.25, 0.8))
HD = (1280, 720)
SECOND_NS = 1_000_000_000


def box(track_id: int, xyxy: tuple[float, float, float, float], name: str = "person", **changes: object) -> TrackedBox:
    values = {"uncertainty_px": 0.0, "velocity_px_s": (0, 0, 0, 0), "since_detected_ms": 0.0, **changes}
    return replace(FRAME.tracks[0], track_id=track_id, class_name=name, xyxy=xyxy, **values)


def seen(*boxes: TrackedBox, at_s: float = 0.0, **changes: object) -> FrameResult:
    at_ns = FRAME.captured_at_ns + round(at_s * SECOND_NS)
    values = {"captured_at_ns": at_ns, "published_at_ns": at_ns + 50_000_000, "age_ms": 50.0, "frame_wh": HD}
    return replace(FRAME, tracks=boxes, **{**values, **changes})


def noise(wh: tuple[int, int], seed: int = 1) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (wh[1], wh[0], 3), np.uint8)


# --- the fleet file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("{masks: [[[0, 0], [0.5, 0]]]}", "5:23: cameras.gate.privacy.masks.0: has 2 corners, expected 3 or more"),
        (
            "{masks: [[[0, 0], [1, 1], [1, 0], [0, 1]]]}",
            "5:23: cameras.gate.privacy.masks.0: crosses itself (self-intersection[0.5 0.5]); name its corners in "
            "turn, along the edge",
        ),
        (
            "{masks: [[[0, 0], [1.5, 0], [1, 1]]]}",
            "5:23: cameras.gate.privacy.masks.0: [1.5, 0] is outside the picture; shares are between 0 and 1",
        ),
        ("{mask: []}", "5:15: cameras.gate.privacy.mask: is no key; did you mean “masks”?"),
        (
            "{}\n    blur: person",
            "6:5: cameras.gate.blur: is no key; it belongs under privacy; allowed here: stride, priority",
        ),
        (
            "{clips: raw}",
            "5:22: cameras.gate.privacy.clips: found “raw”, expected one of covered, as_recorded, none",
        ),
        (
            "{masks: [[[0, 0], [900, 0], [0, 500]]]}\n    evidence_url: rtsp://127.0.0.1/2",
            "5:23: cameras.gate.privacy.masks.0: [900, 0] is in pixels of `url`, and the pictures of `evidence_url`, "
            "which are masked, too, are of another size; give its corners as shares of the picture, 0 to 1",
        ),
    ],
)
def test_mistake_in_privacy_names_line_and_key(tmp_path: Path, lines: str, told: str) -> None:
    (_, *found) = told_of(f"{STUB}\ncameras:\n  gate:\n    url: rtsp://127.0.0.1/1\n    privacy: {lines}\n", tmp_path)
    assert len(found) == 1 and found[0].removeprefix("fleet.yaml:").startswith(told)


def test_class_to_be_blurred_that_is_not_detected_is_a_mistake_where_it_was_written(tmp_path: Path) -> None:
    (_, line) = told_of(
        "model: {backend: stub, classes: [car]}\ndefaults:\n  privacy: {blur: [person]}\n"
        "cameras: {gate: {url: rtsp://127.0.0.1/1}}\n",
        tmp_path,
    )
    assert line.startswith("fleet.yaml:3:13: defaults.privacy.blur: found “person”, which is not among “model.classes”")


def test_camera_adds_masks_to_what_all_cameras_blur(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(
        f"{STUB}\ndefaults: {{privacy: {{blur: person}}}}\ncameras:\n"
        "  gate: {url: rtsp://127.0.0.1/1, privacy: {masks: [[0, 0], [1, 0], [1, 1]]}}\n"
        "  yard: {url: rtsp://127.0.0.1/2}\n"
    )
    cameras = load_fleet(file, {}).cameras
    assert cameras["gate"].privacy == Privacy(masks=(((0, 0), (1, 0), (1, 1)),), blur=("person",))
    assert cameras["yard"].privacy == Privacy(blur=("person",))


def test_camera_whose_privacy_changes_while_it_runs_begins_anew(tmp_path: Path) -> None:
    file, fleets = tmp_path / "fleet.yaml", []
    for blur in ("[person]", "[]"):
        file.write_text(
            f"{STUB}\ncameras: {{gate: {{url: rtsp://x/1, privacy: {{blur: {blur}}}}}, yard: {{url: rtsp://x/2}}}}\n"
        )
        fleets.append(load_fleet(file, {}))
    assert compare(*fleets) == Changes(restarted=("gate",))


# --- masks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [UPRIGHT, Orientation(1), Orientation(2, mirrored=True), Orientation(3)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj444p", "nv12", "gray", "rgb24"])
@pytest.mark.parametrize(
    ("source_wh", "to_wh"), [(HD, (640, 360)), ((320, 180), (640, 360)), ((1920, 1080), (333, 187))]
)
def test_what_is_under_a_mask_changes_no_byte_of_the_picture(
    source_wh: tuple[int, int], to_wh: tuple[int, int], pixel_format: str, orientation: Orientation
) -> None:
    """However it is scaled, turned and stored: two pictures that differ under the mask alone come out the same."""
    upright_wh, out_wh = orientation.upright_wh(source_wh), orientation.upright_wh(to_wh)
    cover, resizer = Cover(Privacy(masks=(TRIANGLE,))), Resizer()
    inside = polygon_in(TRIANGLE, upright_wh)
    one, other = noise(upright_wh), noise(upright_wh)
    other[inside] = 255 - other[inside]
    covered = []
    for picture in (one, other):
        turned = np.empty((source_wh[1], source_wh[0], 3), np.uint8)
        back(orientation).make_upright(picture, turned)
        frame = av.VideoFrame.from_ndarray(turned, "rgb24").reformat(format=pixel_format)
        out = np.empty((out_wh[1], out_wh[0], 3), np.uint8)
        resizer.resize_into(frame, out, orientation)
        cover.mask(out, upright_wh)
        covered.append(out)
    assert np.array_equal(*covered)
    assert np.ptp(covered[0]) > 50, "the rest is still to be seen"


def back(orientation: Orientation) -> Orientation:
    """What undoes it."""
    return next(
        one
        for one in (Orientation(turns, mirrored) for turns in range(4) for mirrored in (False, True))
        if one.then(orientation) == UPRIGHT
    )


def polygon_in(corners: tuple[tuple[float, float], ...], wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that lie within as a whole; those on an edge share their chroma with others before anybody scales it."""
    y, x = np.mgrid[0 : wh[1], 0 : wh[0]] + 0.5
    sides = []
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = (x1 - x0) * wh[0], (y1 - y0) * wh[1]
        sides.append((dx * (y - y0 * wh[1]) - dy * (x - x0 * wh[0])) / np.hypot(dx, dy))
    return np.min(sides, axis=0) > 1.5


def test_mask_is_grey_and_hardly_larger_than_it_was_drawn() -> None:
    picture = np.zeros((360, 640, 3), np.uint8)
    Cover(Privacy(masks=(((0.25, 0.25), (0.5, 0.25), (0.5, 0.5), (0.25, 0.5)),))).mask(picture, HD)
    assert set(np.unique(picture)) == {0, GREY}
    rows, columns = np.nonzero(picture[:, :, 0])
    assert (160 - 5, 90 - 5) <= (columns.min(), rows.min()) <= (160, 90)
    assert (320, 180) <= (columns.max() + 1, rows.max() + 1) <= (320 + 5, 180 + 5)


def test_mask_in_pixels_is_that_of_shares_in_a_picture_of_any_size() -> None:
    shares = Privacy(masks=(((0, 0), (0.5, 0), (0.5, 0.5)),))
    pixels = Privacy(masks=(((0, 0), (640, 0), (640, 360)),))
    for wh in (HD, (640, 360), (300, 169)):
        by_shares, by_pixels = (Cover(one).apply(noise(wh), HD, []) for one in (shares, pixels))
        assert np.array_equal(by_shares, by_pixels)


def test_mask_beyond_the_picture_is_refused_and_names_it() -> None:
    with pytest.raises(
        PrivacyError, match=r"privacy\.masks\.1: \[1900, 5\] is outside the camera's picture, .* 1280x720"
    ):
        Stencil([TRIANGLE, ((0, 0), (1900, 5), (5, 300))], HD, (640, 360))


def test_camera_without_privacy_keeps_its_pictures() -> None:
    picture = noise((64, 36))
    assert np.array_equal(Cover(Privacy()).apply(picture.copy(), HD, []), picture)
    assert not Cover(Privacy()).covers


# --- boxes in masks -----------------------------------------------------------------------------------------------


def test_box_is_hidden_where_more_than_half_of_it_is_masked() -> None:
    left_half = Hidden([((0, 0), (0.5, 0), (0.5, 1), (0, 1))], HD)
    boxes = [
        (0, 100, 200, 300),  # within
        (600, 100, 700, 300),  # 40 % of it
        (540, 100, 700, 300),  # 62 % of it
        (700, 100, 900, 300),  # outside
        (635.2, 100, 637.1, 101),  # smaller than what shares are counted in, within
        (1279, 719, 1280, 720),  # the last pixel
    ]
    assert left_half.of(np.array(boxes, np.float32)).tolist() == [True, False, True, False, True, False]
    assert left_half.of(np.zeros((0, 4), np.float32)).tolist() == []


def test_bus_whose_middle_is_in_a_small_mask_is_not_hidden() -> None:
    window = Hidden([((600, 330), (680, 330), (680, 390), (600, 390))], HD)
    assert window.of(np.array([(340, 160, 940, 560), (610, 335, 670, 385)], np.float32)).tolist() == [False, True]


# --- blurred objects ----------------------------------------------------------------------------------------------


def test_objects_of_the_classes_are_blurred_and_no_others() -> None:
    picture = noise(HD)
    result = seen(box(1, (100, 100, 300, 500)), box(2, (600, 100, 800, 500), "car"))
    out = Cover(Privacy(blur=("person",), margin=0)).apply(picture.copy(), HD, [result])
    changed = (out != picture).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (100, 100, 299, 499)
    assert len(np.unique(out[100:500, 100:300].reshape(-1, 3), axis=0)) <= CELLS * CELLS // 2


def test_blur_reaches_beyond_the_box_by_margin_and_doubt() -> None:
    (area,) = areas_of([seen(box(1, (200, 200, 300, 400), uncertainty_px=5.0))], ("person",), 0.1, HD)
    assert area == (180, 170, 320, 430)
    (small,) = areas_of([seen(box(1, (200, 200, 300, 400), uncertainty_px=5.0))], ("person",), 0.1, (640, 360))
    assert small == (90, 85, 160, 215)


def test_blur_of_a_moment_between_frames_covers_all_that_an_object_sweeps() -> None:
    frames = [seen(box(1, (100, 100, 200, 300)), at_s=0), seen(box(1, (160, 100, 260, 300)), at_s=0.1)]
    assert areas_of(frames, ("person",), 0, HD) == [(100, 100, 260, 300)]
    two = [seen(box(1, (100, 100, 200, 300))), seen(box(2, (500, 100, 600, 300)))]
    assert len(areas_of(two, ("person",), 0, HD)) == 2


@pytest.mark.parametrize("results", [[], [seen(box(1, (10, 10, 20, 20)), origin="skipped")]], ids=["none", "skipped"])
def test_picture_of_which_nothing_is_known_is_blurred_as_a_whole(results: list[FrameResult]) -> None:
    out = Cover(Privacy(blur=("person",))).apply(noise((320, 180)), HD, results)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) <= CELLS * CELLS


def test_picture_in_which_nothing_was_found_stays_as_it_is() -> None:
    picture = noise((64, 36))
    assert np.array_equal(Cover(Privacy(blur=("person",))).apply(picture.copy(), HD, [seen()]), picture)


def test_box_that_is_outside_or_tiny_is_blurred_as_far_as_it_is_there() -> None:
    picture = noise((64, 36))
    pixelate(
        picture,
        areas_of([seen(box(1, (-50, -50, 5, 5))), seen(box(2, (1270, 700, 1400, 900)))], ("person",), 0, (64, 36)),
    )
    pixelate(picture, [(64, 0, 70, 5), (3, 3, 3, 9), (60, 30, 64, 36)])
    assert picture.shape == (36, 64, 3)


# --- moments ------------------------------------------------------------------------------------------------------


def test_moments_give_the_frames_that_may_be_meant_and_their_neighbours() -> None:
    frames = [seen(at_s=number / 10, frame_id=number) for number in range(100)]
    around = Moments(reversed(frames)).around(frames[50].captured_at_ns + 40_000_000, 50_000_000)
    assert [result.frame_id for result in around] == [49, 50, 51]


def test_moments_say_nothing_of_times_long_before_or_after() -> None:
    moments = Moments([seen(at_s=0), seen(at_s=10)])
    assert moments.around(FRAME.captured_at_ns + 5 * SECOND_NS, 50_000_000) == []
    assert Moments([]).around(0, 1) == []


def test_moments_carry_the_last_boxes_on_and_keep_where_they_were() -> None:
    runs = seen(box(1, (100, 100, 200, 300), velocity_px_s=(100, 0, 100, 0)))
    around = Moments([runs]).around(runs.captured_at_ns + SECOND_NS // 2, 0)
    assert [tuple(round(edge) for edge in result.tracks[0].xyxy) for result in around] == [
        (100, 100, 200, 300),
        (150, 100, 250, 300),
    ]
    assert at_capture(runs, runs.captured_at_ns).tracks == runs.tracks
