-- name: delivery
SELECT * FROM delivery_rows WHERE id = %(id)s;

-- name: deliveries
SELECT * FROM delivery_rows WHERE id > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id LIMIT %(most)s;

-- name: deliveries_of_notification
SELECT * FROM delivery_rows
WHERE notification_id = %(notification_id)s AND id > %(after)s
    AND (%(recipient)s::text IS NULL OR recipient = %(recipient)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id LIMIT %(most)s;

-- name: deliveries_of_recipient
SELECT * FROM delivery_rows
WHERE recipient = %(recipient)s AND id > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id LIMIT %(most)s;

-- name: records
SELECT d.recipient, d.id, d.notification_id, d.created_at, coalesce(n.not_before, 0), d.expires_at,
    (coalesce(n.audience_end, 0) > 0)::integer, coalesce(q.state, d.state), coalesce(q.rule, d.rule),
    d.updated_at, d.digest_id,
    (
        SELECT max(a.at) FROM attempts a
        WHERE a.recipient = d.recipient AND a.at BETWEEN d.created_at AND d.updated_at
            AND a.delivery_id = coalesce(d.digest_id, d.id) AND a.counts
    ),
    d.type, d.category, d.channel, d.priority
FROM deliveries d LEFT JOIN notifications n ON n.id = d.notification_id
    LEFT JOIN due q ON q.delivery_id = d.id
WHERE (d.recipient, d.id) > (%(recipient)s, %(after)s) AND d.created_at < %(until)s
    AND (d.state IS NULL OR d.updated_at >= %(since)s)
ORDER BY d.recipient, d.id LIMIT %(most)s;

-- name: counts
SELECT state, count(*) FROM deliveries WHERE state IS NOT NULL GROUP BY state
UNION ALL SELECT state, count(*) FROM due GROUP BY state;

-- name: backlog
SELECT state, count(*) FROM due GROUP BY state;

-- name: counts_of
SELECT coalesce(q.state, d.state), count(*)
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id
WHERE d.notification_id = %(id)s GROUP BY 1;

-- name: opened
SELECT DISTINCT recipient FROM deliveries
WHERE notification_id = %(id)s AND opened_at IS NOT NULL ORDER BY recipient;

-- name: engage
UPDATE deliveries SET opened_at = %(opened_at)s::bigint, clicked_at = %(clicked_at)s::bigint
WHERE id = %(id)s AND state = 'delivered' AND opened_at IS NULL;

-- name: click
UPDATE deliveries SET clicked_at = %(clicked_at)s
WHERE id = %(id)s AND opened_at IS NOT NULL AND clicked_at IS NULL;

-- name: add_event
-- Their numbers are to grow in the order of the commits, or a listener would pass some by: nobody
-- else gives any out until this is committed.
WITH alone AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s))
INSERT INTO events (name, delivery_id, at, notification_id, recipient, data)
SELECT r.name, r.delivery_id, r.at, r.notification_id, r.recipient, r.data
FROM alone, unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[])
    AS r (name, delivery_id, at, notification_id, recipient, data);

-- name: events
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq > %(after)s AND (%(name)s::text IS NULL OR e.name = %(name)s)
ORDER BY e.seq LIMIT %(most)s;

-- name: events_of_delivery
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.delivery_id = %(delivery_id)s AND e.seq > %(after)s
    AND (%(name)s::text IS NULL OR e.name = %(name)s)
ORDER BY e.seq LIMIT %(most)s;

-- name: events_of_notification
SELECT e.seq, e.name, e.delivery_id, e.at, coalesce(e.notification_id, d.notification_id, ''),
    coalesce(e.recipient, d.recipient, ''), e.data
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq IN (
        SELECT x.seq FROM deliveries y JOIN events x ON x.delivery_id = y.id
        WHERE y.notification_id = %(notification_id)s
        UNION SELECT seq FROM events
        WHERE delivery_id = '' AND notification_id = %(notification_id)s
    )
    AND e.seq > %(after)s AND (%(name)s::text IS NULL OR e.name = %(name)s)
ORDER BY e.seq LIMIT %(most)s;

-- name: facts
SELECT e.seq, e.name, e.at, e.delivery_id, coalesce(e.recipient, d.recipient, ''),
    coalesce(d.type, ''), coalesce(d.channel, ''), d.rule, coalesce(d.created_at, e.at), e.data,
    (
        SELECT string_agg(x.name, ',') FROM events x
        WHERE e.delivery_id <> '' AND x.delivery_id = e.delivery_id AND x.seq < e.seq
    )
FROM events e LEFT JOIN deliveries d ON d.id = e.delivery_id
WHERE e.seq > %(after)s ORDER BY e.seq LIMIT %(most)s;

-- name: last_event
SELECT coalesce(max(seq), 0) FROM events;

-- name: prunable
-- Ids begin with the instant at which they were made, so only what is old enough is looked at.
SELECT id FROM deliveries
WHERE id < lpad(to_hex(%(before)s::bigint), 12, '0') COLLATE "C"
    AND state IS NOT NULL AND updated_at < %(before)s
ORDER BY id LIMIT %(most)s;

-- name: prune_deliveries
DELETE FROM deliveries WHERE id = ANY (%(ids)s::text[]);

-- name: prune_events
DELETE FROM events WHERE delivery_id = ANY (%(ids)s::text[]);

-- name: prune_events_named
DELETE FROM events WHERE seq IN (
    SELECT seq FROM events WHERE delivery_id = '' AND name = %(name)s AND at < %(before)s LIMIT %(most)s
);

-- name: attempts_before
SELECT count(*) FROM (SELECT 1 FROM attempts WHERE at < %(before)s LIMIT %(most)s) AS found;

-- name: prune_attempts
DELETE FROM attempts WHERE (recipient, at, delivery_id, number) IN (
    SELECT recipient, at, delivery_id, number FROM attempts
    WHERE at >= %(since)s AND at < %(before)s LIMIT %(most)s
);

-- name: prune_notifications
DELETE FROM notifications WHERE id IN (
    SELECT n.id FROM notifications n
    WHERE n.id < lpad(to_hex(%(before)s::bigint), 12, '0') COLLATE "C"
        AND n.created_at < %(before)s AND n.cursor IS NULL
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notification_id = n.id)
    ORDER BY n.id LIMIT %(most)s
);

-- name: prune_idempotency
DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency WHERE expires_at < %(before)s LIMIT %(most)s
);

-- name: prune_cells
DELETE FROM cells WHERE tat / 1000 < %(before)s;
