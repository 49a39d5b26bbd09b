-- Version 2: what happened in zones and at lines. See 1.sql for TIME_OF and ON_TIME.

-- One row for each time that an event was told: what lasts has several, of one event_id; one that is withdrawn
-- says that it did not happen.
CREATE TABLE events (
    fleet            TEXT NOT NULL,
    camera_id        TEXT NOT NULL,
    -- The same thing has the same for ever.
    event_id         TEXT NOT NULL,
    -- begin, update, end; once of what takes no time.
    phase            TEXT NOT NULL,
    session_id       TEXT NOT NULL,
    -- The frame that told.
    frame_id         BIGINT NOT NULL,
    -- When it happened or began, interpolated between frames.
    happened_at_ns   BIGINT NOT NULL,
    happened_at      TIME_OF(happened_at_ns),
    -- One standard deviation of that time, milliseconds.
    error_ms         DOUBLE PRECISION NOT NULL,
    -- The zone or line.
    rule             TEXT NOT NULL,
    -- enter, leave, appeared, gone, dwell, stopped, count, nothing or cross.
    happening        TEXT NOT NULL,
    -- As the fleet file says it, such as "dwell > 30s".
    condition        TEXT NOT NULL,
    -- For how long it lasts or has lasted, seconds.
    lasted_s         DOUBLE PRECISION NOT NULL,
    -- in or out, of what crosses a line.
    direction        TEXT,
    -- The object over identity switches; empty where it is about none.
    object_id        TEXT NOT NULL,
    track_id         BIGINT NOT NULL,
    class_name       TEXT NOT NULL,
    score            DOUBLE PRECISION NOT NULL,
    x1               DOUBLE PRECISION NOT NULL,
    y1               DOUBLE PRECISION NOT NULL,
    x2               DOUBLE PRECISION NOT NULL,
    y2               DOUBLE PRECISION NOT NULL,
    -- Objects in the zone; those that crossed the line in this direction so far.
    objects          BIGINT NOT NULL,
    -- 1 where it corrects what was told before, and where it takes it back.
    revised          BIGINT NOT NULL,
    withdrawn        BIGINT NOT NULL,
    PRIMARY KEY (fleet, camera_id, event_id, phase, session_id, frame_id)
);

CREATE INDEX events_by_time ON events (ON_TIME(happened_at));
