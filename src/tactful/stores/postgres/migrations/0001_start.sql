-- All instants are integer milliseconds since the epoch, UTC. Names are in normal form and compared
-- byte by byte (COLLATE "C"), as every store does. JSON is text: nothing in it is asked for here.

-- What callers asked for. cursor is set while a broadcast still has recipients to reach.
CREATE TABLE notifications (
    id TEXT COLLATE "C" PRIMARY KEY,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    channels TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    cursor BIGINT,
    audience_end BIGINT NOT NULL,
    audience TEXT NOT NULL,
    cancelled BOOLEAN NOT NULL
);

CREATE INDEX notifications_unfinished ON notifications (id) WHERE cursor IS NOT NULL;

-- state is NULL exactly while the delivery has a row in due, which then knows it. Each row is
-- updated once, at its end: room is left for that, so that no index has to follow.
CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    notification_id TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    state TEXT CHECK (state IN ('sent', 'delivered', 'lost', 'bounced', 'failed', 'unknown',
        'rejected', 'suppressed', 'superseded', 'digested', 'expired', 'cancelled')),
    rule TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    tries INTEGER NOT NULL CHECK (tries >= 0),
    crashes INTEGER NOT NULL CHECK (crashes >= 0),
    updated_at BIGINT NOT NULL,
    opened_at BIGINT,
    clicked_at BIGINT,
    digest_id TEXT,
    ref TEXT,
    -- opened is within delivered, clicked within opened
    CHECK (opened_at IS NULL OR (state IS NOT NULL AND state = 'delivered')),
    CHECK (clicked_at IS NULL OR opened_at IS NOT NULL)
) WITH (fillfactor = 55);

CREATE INDEX deliveries_notification ON deliveries (notification_id);
CREATE INDEX deliveries_recipient ON deliveries (recipient, id);

-- The queue: narrow, hot, one row for each delivery that still needs the engine.
CREATE TABLE due (
    delivery_id TEXT COLLATE "C" PRIMARY KEY,
    recipient TEXT COLLATE "C" NOT NULL,
    priority INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'deferred', 'sending')),
    promised BOOLEAN NOT NULL,
    decided BOOLEAN NOT NULL,
    held BOOLEAN NOT NULL,
    grp TEXT NOT NULL,
    rule TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    begun BOOLEAN NOT NULL DEFAULT FALSE,
    owner TEXT NOT NULL DEFAULT '',
    shard SMALLINT NOT NULL
        GENERATED ALWAYS AS ((('x' || left(md5(recipient), 3))::bit(12)::integer)::smallint) STORED
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX due_claim ON due (priority, due_at, delivery_id) INCLUDE (shard);
CREATE INDEX due_recipient ON due (recipient);
CREATE INDEX due_held ON due (recipient) WHERE held;

-- Who decides about a recipient holds the row of their shard: one at a time for each of them.
CREATE TABLE shards (
    id SMALLINT PRIMARY KEY
) WITH (fillfactor = 50);

INSERT INTO shards SELECT * FROM generate_series(0, 4095);

-- A delivery in the queue, as the engine sees it.
CREATE VIEW queue_rows AS
SELECT q.delivery_id AS id, d.notification_id, q.recipient, d.channel, d.address, d.type,
    d.category, q.priority, d.created_at, q.state, q.due_at, q.not_before, d.expires_at,
    q.promised, q.decided, q.held, q.grp, q.rule, q.reason, q.attempts, q.tries, q.crashes,
    d.updated_at, d.opened_at, d.clicked_at, d.digest_id, d.ref, q.begun, q.owner
FROM due q JOIN deliveries d ON d.id = q.delivery_id;

-- Any delivery, as the engine sees it: the queue knows better while it is there.
CREATE VIEW delivery_rows AS
SELECT d.id, d.notification_id, d.recipient, d.channel, d.address, d.type, d.category, d.priority,
    d.created_at, coalesce(q.state, d.state) AS state, coalesce(q.due_at, 0) AS due_at,
    coalesce(q.not_before, 0) AS not_before, d.expires_at, coalesce(q.promised, FALSE) AS promised,
    coalesce(q.decided, TRUE) AS decided, coalesce(q.held, FALSE) AS held,
    coalesce(q.grp, '') AS grp, coalesce(q.rule, d.rule) AS rule,
    coalesce(q.reason, d.reason) AS reason, coalesce(q.attempts, d.attempts) AS attempts,
    coalesce(q.tries, d.tries) AS tries, coalesce(q.crashes, d.crashes) AS crashes, d.updated_at,
    d.opened_at, d.clicked_at, d.digest_id, d.ref, coalesce(q.begun, FALSE) AS begun,
    coalesce(q.owner, '') AS owner
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id;

-- The ledger: reading one person's history is one range of the index. Each row is updated once.
CREATE TABLE attempts (
    recipient TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority INTEGER NOT NULL,
    counts BOOLEAN NOT NULL,
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (recipient, at, delivery_id, number)
) WITH (fillfactor = 60);

CREATE INDEX attempts_at ON attempts (at);

-- Facts, append-only, in the order of their commits. notification_id and recipient are those of
-- the delivery unless given.
CREATE TABLE events (
    seq BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    notification_id TEXT COLLATE "C",
    recipient TEXT COLLATE "C",
    data TEXT
);

CREATE INDEX events_delivery ON events (delivery_id);

CREATE TABLE recipients (
    seq BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT,
    email TEXT,
    timezone TEXT NOT NULL,
    locale TEXT NOT NULL,
    addresses TEXT NOT NULL,
    mute TEXT NOT NULL
);

-- Which person an address (in normal form) belongs to.
CREATE TABLE addresses (
    address TEXT COLLATE "C" PRIMARY KEY,
    recipient TEXT COLLATE "C" NOT NULL
);

CREATE INDEX addresses_recipient ON addresses (recipient);

CREATE TABLE suppressions (
    channel TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (address, channel, scope)
);

-- Rules, types and templates, every version of them; body NULL is a removal.
CREATE TABLE policies (
    version BIGINT PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    body TEXT,
    at BIGINT NOT NULL,
    author TEXT NOT NULL
);

CREATE INDEX policies_name ON policies (kind, name, version);

CREATE TABLE idempotency (
    key TEXT COLLATE "C" PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE cells (
    key TEXT COLLATE "C" PRIMARY KEY,
    tat BIGINT NOT NULL
);

CREATE TABLE notes (
    key TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

INSERT INTO notes VALUES ('clock', '0');
