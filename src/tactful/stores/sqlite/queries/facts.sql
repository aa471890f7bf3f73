-- name: delivery
SELECT * FROM delivery_rows WHERE id = :id;

-- name: deliveries
SELECT * FROM delivery_rows WHERE id > :after AND (:state IS NULL OR state = :state)
ORDER BY id LIMIT :most;

-- name: deliveries_of_notification
-- The plus keeps the planner off the index of recipients.
SELECT * FROM delivery_rows
WHERE notification_id = :notification_id AND id > :after
    AND (:recipient IS NULL OR +recipient = :recipient) AND (:state IS NULL OR state = :state)
ORDER BY id LIMIT :most;

-- name: deliveries_of_recipient
SELECT * FROM delivery_rows
WHERE recipient = :recipient AND id > :after AND (:state IS NULL OR state = :state)
ORDER BY id LIMIT :most;

-- name: records
SELECT d.recipient, d.id, d.notification_id, d.created_at, coalesce(n.not_before, 0), d.expires_at,
    coalesce(n.audience_end, 0) > 0, coalesce(q.state, d.state), coalesce(q.rule, d.rule),
    d.updated_at, d.digest_id,
    (
        SELECT max(a.at) FROM attempts a
        WHERE a.recipient = d.recipient AND a.at BETWEEN d.created_at AND d.updated_at
            AND a.delivery_id = coalesce(d.digest_id, d.id) AND a.counts = 1
    ),
    d.type, d.category, d.channel, d.priority
FROM deliveries d LEFT JOIN notifications n ON n.id = d.notification_id
    LEFT JOIN due q ON q.delivery_id = d.id
WHERE (d.recipient, d.id) > (:recipient, :after) AND d.created_at < :until
    AND (d.state IS NULL OR d.updated_at >= :since)
ORDER BY d.recipient, d.id LIMIT :most;

-- name: counts
SELECT state, count(*) FROM deliveries WHERE state IS NOT NULL GROUP BY state
UNION ALL SELECT state, count(*) FROM due GROUP BY state;

-- name: backlog
SELECT state, count(*) FROM due GROUP BY state;

-- name: counts_of
SELECT coalesce(q.state, d.state), count(*)
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id
WHERE d.notification_id = :id GROUP BY 1;

-- name: opened
SELECT DISTINCT recipient FROM deliveries
WHERE notification_id = :id AND opened_at IS NOT NULL ORDER BY recipient;

-- name: engage
UPDATE deliveries SET opened_at = :opened_at, clicked_at = :clicked_at
WHERE id = :id AND state = 'delivered' AND opened_at IS NULL;

-- name: click
UPDATE deliveries SET clicked_at = :clicked_at
WHERE id = :id AND opened_at IS NOT NULL AND clicked_at IS NULL;

-- name: add_event
INSERT INTO events (name, delivery_id, at, notification_id, recipient, data)
VALUES {rows};

-- name: events
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq > :after AND (:name IS NULL OR e.name = :name)
ORDER BY e.seq LIMIT :most;

-- name: events_of_delivery
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.delivery_id = :delivery_id AND e.seq > :after AND (:name IS NULL OR e.name = :name)
ORDER BY e.seq LIMIT :most;

-- name: events_of_notification
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq IN (
        SELECT x.seq FROM deliveries y CROSS JOIN events x ON x.delivery_id = y.id
        WHERE y.notification_id = :notification_id
        UNION SELECT seq FROM events
        WHERE delivery_id = '' AND notification_id = :notification_id
    )
    AND e.seq > :after AND (:name IS NULL OR e.name = :name)
ORDER BY e.seq LIMIT :most;

-- name: facts
SELECT e.seq, e.name, e.at, e.delivery_id, coalesce(e.recipient, d.recipient, ''),
    coalesce(d.type, ''), coalesce(d.channel, ''), d.rule, coalesce(d.created_at, e.at), e.data,
    (
        SELECT group_concat(x.name) FROM events x
        WHERE e.delivery_id <> '' AND x.delivery_id = e.delivery_id AND x.seq < e.seq
    )
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq > :after ORDER BY e.seq LIMIT :most;

-- name: last_event
SELECT coalesce(max(seq), 0) FROM events;

-- name: prunable
SELECT id FROM deliveries WHERE state IS NOT NULL AND updated_at < :before LIMIT :most;

-- name: prune_deliveries
DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids));

-- name: prune_events
DELETE FROM events WHERE delivery_id IN (SELECT value FROM json_each(:ids));

-- name: prune_events_named
DELETE FROM events WHERE seq IN (
    SELECT seq FROM events WHERE delivery_id = '' AND name = :name AND at < :before LIMIT :most
);

-- name: prune_attempts
DELETE FROM attempts WHERE (recipient, at, delivery_id, number) IN (
    SELECT recipient, at, delivery_id, number FROM attempts WHERE at < :before LIMIT :most
);

-- name: prune_notifications
DELETE FROM notifications WHERE id IN (
    SELECT n.id FROM notifications n
    WHERE n.created_at < :before AND n.cursor IS NULL
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notification_id = n.id)
    LIMIT :most
);

-- name: prune_idempotency
DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency WHERE expires_at < :before LIMIT :most
);

-- name: prune_cells
DELETE FROM cells WHERE tat / 1000 < :before;
