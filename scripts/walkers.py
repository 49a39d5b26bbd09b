"""People who walk through a picture, as a detector sees them: for measurements that need no detector."""

from __future__ import annotations

import numpy as np

from pipeline.detections import Detections

PICTURE_WH = (1920, 1080)
FPS = 25.0


def walk(boxes: int, updates: int, seed: int = 0) -> list[Detections]:
    """What a detector sees of `boxes` people who walk and turn round at the edges.

    Edges tremble by 0.01 of the height; one box in twenty is missed, one in six has a low score.
    """
    rng = np.random.default_rng(seed)
    height = rng.uniform(60, 200, boxes)
    sides = np.column_stack([height * 0.4, height])
    room = np.array(PICTURE_WH) - sides
    start, speed = rng.uniform(0, 1, (boxes, 2)) * room, rng.uniform(-60, 60, (boxes, 2))
    frames = []
    for index in range(updates):
        position = (start + speed * index / FPS) % (2 * room)
        corner = np.where(position > room, 2 * room - position, position)
        xyxy = np.column_stack([corner, corner + sides]) + rng.normal(0, 0.01, (boxes, 4)) * height[:, None]
        score = np.where(rng.random(boxes) < 1 / 6, rng.uniform(0.15, 0.5, boxes), rng.uniform(0.7, 0.95, boxes))
        seen = rng.random(boxes) > 1 / 20
        frames.append(
            Detections(xyxy[seen].astype(np.float32), score[seen].astype(np.float32), np.zeros(seen.sum(), np.int32))
        )
    return frames
