-- Version 3: what is kept of events on the fleet's disk, and what second looks have found of objects. See 1.sql for TIME_OF and ON_TIME.

-- One row for each event of which something is kept.
CREATE TABLE evidence (
    fleet            TEXT NOT NULL,
    camera_id        TEXT NOT NULL,
    event_id         TEXT NOT NULL,
    -- When the event happened or began.
    happened_at_ns   BIGINT NOT NULL,
    happened_at      TIME_OF(happened_at_ns),
    rule             TEXT NOT NULL,
    happening        TEXT NOT NULL,
    class_name       TEXT NOT NULL,
    score            DOUBLE PRECISION NOT NULL,
    -- Files on the fleet's machine; empty where there is none. Retention may have deleted them since.
    record           TEXT NOT NULL,
    clip             TEXT NOT NULL,
    clip_from_ns     BIGINT NOT NULL,
    clip_to_ns       BIGINT NOT NULL,
    snapshot         TEXT NOT NULL,
    snapshot_at_ns   BIGINT NOT NULL,
    snapshot_width   BIGINT NOT NULL,
    snapshot_height  BIGINT NOT NULL,
    -- The object, px of the snapshot; all 0 where the event is about none.
    x1               DOUBLE PRECISION NOT NULL,
    y1               DOUBLE PRECISION NOT NULL,
    x2               DOUBLE PRECISION NOT NULL,
    y2               DOUBLE PRECISION NOT NULL,
    -- How far the snapshot may be from the moment of the box, milliseconds; null where that is not known.
    error_ms         DOUBLE PRECISION,
    -- Why something is missing; empty where nothing is.
    detail           TEXT NOT NULL,
    PRIMARY KEY (fleet, camera_id, event_id)
);

-- JSON by the name of each second look, such as {"colour": {"label": "red", "score": 0.9}}; NULL where nothing is known.
ALTER TABLE boxes ADD COLUMN attributes TEXT;
-- Likewise, of the event's object when it was told.
ALTER TABLE events ADD COLUMN attributes TEXT;

CREATE INDEX evidence_by_time ON evidence (ON_TIME(happened_at));
