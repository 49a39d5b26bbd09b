-- Version 1 of camfleet's tables. The same in SQLite, DuckDB and PostgreSQL, except for TIME_OF, which stands for a
-- column that the database derives from nanoseconds: timestamptz in PostgreSQL, a timestamp of UTC in DuckDB, a text of
-- UTC in SQLite; and for ON_TIME, which names the column that times are looked up by. In DuckDB, where one process writes
-- and looks first, keys are not watched by the database.
--
-- A frame is known by (fleet, camera_id, session_id, frame_id), so that writing it twice is the same as writing it once.
-- Times that end in _ns are nanoseconds since 1970-01-01 UTC; x and y are pixels of the source picture.

-- One row for every frame that was published, also for one without objects.
CREATE TABLE frames (
    fleet            TEXT NOT NULL,
    camera_id        TEXT NOT NULL,
    -- One unbroken stream of a camera; frame_id and track_id mean something within it only.
    session_id       TEXT NOT NULL,
    -- The camera's own number of that stream; the same in two session_ids where a worker was started again in its midst.
    session          BIGINT NOT NULL,
    -- Counts the frames that were decoded, from 0: a number that is missing is a frame that was lost, see "lost".
    frame_id         BIGINT NOT NULL,
    -- The stream's own time, seconds.
    pts_s            DOUBLE PRECISION NOT NULL,
    captured_at_ns   BIGINT NOT NULL,
    captured_at      TIME_OF(captured_at_ns),
    -- Where the time of the capture comes from: rtcp, arrival or file.
    capture_clock    TEXT NOT NULL,
    published_at_ns  BIGINT NOT NULL,
    -- From capture to publication, milliseconds.
    age_ms           DOUBLE PRECISION NOT NULL,
    frame_width      BIGINT NOT NULL,
    frame_height     BIGINT NOT NULL,
    -- detected: the detector ran on this frame. predicted, interpolated: it did not, and the tracker filled in.
    -- skipped: it did not, and nothing was filled in, which is not the same as seeing nothing.
    origin           TEXT NOT NULL,
    -- Why the detector did not run; NULL where it did.
    filled_because   TEXT,
    -- From the capture of the newest detected frame to the publication of this one; NULL before the first.
    detection_age_ms DOUBLE PRECISION,
    -- Every how many frames the detector is offered one.
    stride           BIGINT NOT NULL,
    -- Rows of "boxes" that belong to this frame.
    objects          BIGINT NOT NULL,
    -- Frames of this camera that were lost just before this one, by cause, such as {"decode": 2}.
    lost             JSON NOT NULL,
    -- Milliseconds by stage, such as {"capture": 5.0, "decode": 3.1}; together they are age_ms.
    latency_ms       JSON NOT NULL,
    PRIMARY KEY (fleet, camera_id, session_id, frame_id)
);

-- One row for every object on every frame.
CREATE TABLE boxes (
    fleet             TEXT NOT NULL,
    camera_id         TEXT NOT NULL,
    session_id        TEXT NOT NULL,
    frame_id          BIGINT NOT NULL,
    -- From 1; the same object has the same within a session.
    track_id          BIGINT NOT NULL,
    -- That of the frame, so that looking for objects in a span of time needs this table alone.
    captured_at_ns    BIGINT NOT NULL,
    captured_at       TIME_OF(captured_at_ns),
    class_id          BIGINT NOT NULL,
    class_name        TEXT NOT NULL,
    -- 0..1, of the last detection.
    score             DOUBLE PRECISION NOT NULL,
    x1                DOUBLE PRECISION NOT NULL,
    y1                DOUBLE PRECISION NOT NULL,
    x2                DOUBLE PRECISION NOT NULL,
    y2                DOUBLE PRECISION NOT NULL,
    -- detected: seen on this very frame. predicted, interpolated: carried here from other frames.
    box_origin        TEXT NOT NULL,
    -- Milliseconds since the detector last saw the object; 0 where it did on this frame.
    since_detected_ms DOUBLE PRECISION NOT NULL,
    -- One standard deviation of the box's centre.
    uncertainty_px    DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (fleet, camera_id, session_id, frame_id, track_id)
);

-- One row whenever a camera's state, its reason or its session changed. A change that was written just before a sink
-- was ended may be followed by one more row of the same state.
CREATE TABLE camera_states (
    fleet            TEXT NOT NULL,
    camera_id        TEXT NOT NULL,
    -- When it was told.
    told_at_ns       BIGINT NOT NULL,
    told_at          TIME_OF(told_at_ns),
    -- connecting, live, degraded, blind, retrying, paused, ended, failed or removed.
    state            TEXT NOT NULL,
    -- Why, in one sentence; empty while all is well.
    detail           TEXT NOT NULL,
    -- When it came into this state; 0 where that is not known.
    since_ns         BIGINT NOT NULL,
    -- Of the running session; empty where there is none.
    session_id       TEXT NOT NULL,
    -- How often the connection was made again since the camera process began.
    reconnects       BIGINT NOT NULL,
    -- Empty, and 0, until known.
    codec            TEXT NOT NULL,
    decoder          TEXT NOT NULL,
    frame_width      BIGINT NOT NULL,
    frame_height     BIGINT NOT NULL,
    detection_age_ms DOUBLE PRECISION,
    PRIMARY KEY (fleet, camera_id, told_at_ns)
);

CREATE INDEX frames_by_time ON frames (ON_TIME(captured_at));
CREATE INDEX boxes_by_time ON boxes (ON_TIME(captured_at));
CREATE INDEX camera_states_by_time ON camera_states (ON_TIME(told_at));
