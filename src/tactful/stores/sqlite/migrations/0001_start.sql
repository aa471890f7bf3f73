-- All instants are integer milliseconds since the epoch, UTC. Names are in normal form.

-- What callers asked for. cursor is set while a broadcast still has recipients to reach.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    channels TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    cursor INTEGER,
    audience_end INTEGER NOT NULL,
    audience TEXT NOT NULL,
    cancelled INTEGER NOT NULL CHECK (cancelled IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX notifications_unfinished ON notifications (id) WHERE cursor IS NOT NULL;

-- Insert-mostly. state is NULL exactly while the delivery has a row in due, which then knows it.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    notification_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT CHECK (state IN ('sent', 'delivered', 'lost', 'bounced', 'failed', 'unknown',
        'rejected', 'suppressed', 'superseded', 'digested', 'expired', 'cancelled')),
    rule TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    tries INTEGER NOT NULL CHECK (tries >= 0),
    crashes INTEGER NOT NULL CHECK (crashes >= 0),
    updated_at INTEGER NOT NULL,
    opened_at INTEGER,
    clicked_at INTEGER,
    digest_id TEXT,
    ref TEXT,
    -- opened is within delivered, clicked within opened
    CHECK (opened_at IS NULL OR (state IS NOT NULL AND state = 'delivered')),
    CHECK (clicked_at IS NULL OR opened_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_notification ON deliveries (notification_id);
CREATE INDEX deliveries_recipient ON deliveries (recipient, id);

-- The queue: narrow, hot, one row for each delivery that still needs the engine.
CREATE TABLE due (
    delivery_id TEXT PRIMARY KEY,
    recipient TEXT NOT NULL,
    priority INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'deferred', 'sending')),
    promised INTEGER NOT NULL CHECK (promised IN (0, 1)),
    decided INTEGER NOT NULL CHECK (decided IN (0, 1)),
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    grp TEXT NOT NULL,
    rule TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX due_claim ON due (priority, due_at, delivery_id);
CREATE INDEX due_recipient ON due (recipient);
CREATE INDEX due_held ON due (held) WHERE held = 1;

-- A delivery in the queue, as the engine sees it.
CREATE VIEW queue_rows AS
SELECT q.delivery_id AS id, d.notification_id, q.recipient, d.channel, d.address, d.type,
    d.category, q.priority, d.created_at, q.state, q.due_at, q.not_before, d.expires_at,
    q.promised, q.decided, q.held, q.grp, q.rule, q.reason, q.attempts, q.tries, q.crashes,
    d.updated_at, d.opened_at, d.clicked_at, d.digest_id, d.ref, q.begun
FROM due q CROSS JOIN deliveries d ON d.id = q.delivery_id;

-- Any delivery, as the engine sees it: the queue knows better while it is there.
CREATE VIEW delivery_rows AS
SELECT d.id, d.notification_id, d.recipient, d.channel, d.address, d.type, d.category, d.priority,
    d.created_at, coalesce(q.state, d.state) AS state, coalesce(q.due_at, 0),
    coalesce(q.not_before, 0), d.expires_at, coalesce(q.promised, 0), coalesce(q.decided, 1),
    coalesce(q.held, 0), coalesce(q.grp, ''), coalesce(q.rule, d.rule) AS rule,
    coalesce(q.reason, d.reason) AS reason, coalesce(q.attempts, d.attempts),
    coalesce(q.tries, d.tries), coalesce(q.crashes, d.crashes), d.updated_at, d.opened_at,
    d.clicked_at, d.digest_id, d.ref, coalesce(q.begun, 0)
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id;

-- The ledger, clustered by recipient: reading one person's history is one range scan.
CREATE TABLE attempts (
    recipient TEXT NOT NULL,
    at INTEGER NOT NULL,
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority INTEGER NOT NULL,
    counts INTEGER NOT NULL CHECK (counts IN (0, 1)),
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (recipient, at, delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Facts, append-only. notification_id and recipient are those of the delivery unless given.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    notification_id TEXT,
    recipient TEXT,
    data TEXT
) STRICT;

CREATE INDEX events_delivery ON events (delivery_id);

CREATE TABLE recipients (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT,
    email TEXT,
    timezone TEXT NOT NULL,
    locale TEXT NOT NULL,
    addresses TEXT NOT NULL,
    mute TEXT NOT NULL
) STRICT;

-- Which person an address (in normal form) belongs to.
CREATE TABLE addresses (
    address TEXT PRIMARY KEY,
    recipient TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX addresses_recipient ON addresses (recipient);

CREATE TABLE suppressions (
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    scope TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (address, channel, scope)
) STRICT, WITHOUT ROWID;

-- Rules, types and templates, every version of them; body NULL is a removal.
CREATE TABLE policies (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT,
    at INTEGER NOT NULL,
    author TEXT NOT NULL
) STRICT;

CREATE INDEX policies_name ON policies (kind, name, version);

CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    tat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
