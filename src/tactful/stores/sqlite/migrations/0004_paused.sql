-- What is paused has no slot, and is only looked at when it expires.
ALTER TABLE due ADD COLUMN paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1));

-- Paused since when, by whom; while it is being resumed, up to which of its deliveries it has been.
ALTER TABLE notifications ADD COLUMN paused_at INTEGER;
ALTER TABLE notifications ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';
ALTER TABLE notifications ADD COLUMN resumed_to TEXT;

DROP INDEX notifications_unfinished;
CREATE INDEX notifications_unfinished ON notifications (id)
WHERE resumed_to IS NOT NULL OR (cursor IS NOT NULL AND paused_at IS NULL);
CREATE INDEX notifications_paused ON notifications (id) WHERE paused_at IS NOT NULL;

DROP VIEW queue_rows;
DROP VIEW delivery_rows;

-- A delivery in the queue, as the engine sees it.
CREATE VIEW queue_rows AS
SELECT q.delivery_id AS id, d.notification_id, q.recipient, d.channel, d.address, d.type,
    d.category, q.priority, d.created_at, q.state, q.due_at, q.not_before, d.expires_at,
    q.promised, q.decided, q.held, q.grp, q.rule, q.reason, q.attempts, q.tries, q.crashes,
    d.updated_at, d.opened_at, d.clicked_at, d.digest_id, d.ref, q.begun, q.owner,
    q.paused
FROM due q CROSS JOIN deliveries d ON d.id = q.delivery_id;

-- Any delivery, as the engine sees it: the queue knows better while it is there.
CREATE VIEW delivery_rows AS
SELECT d.id, d.notification_id, d.recipient, d.channel, d.address, d.type, d.category, d.priority,
    d.created_at, coalesce(q.state, d.state) AS state, coalesce(q.due_at, 0),
    coalesce(q.not_before, 0), d.expires_at, coalesce(q.promised, 0), coalesce(q.decided, 1),
    coalesce(q.held, 0), coalesce(q.grp, ''), coalesce(q.rule, d.rule) AS rule,
    coalesce(q.reason, d.reason) AS reason, coalesce(q.attempts, d.attempts),
    coalesce(q.tries, d.tries), coalesce(q.crashes, d.crashes), d.updated_at, d.opened_at,
    d.clicked_at, d.digest_id, d.ref, coalesce(q.begun, 0), coalesce(q.owner, ''),
    coalesce(q.paused, 0)
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id;
