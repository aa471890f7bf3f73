-- name: add_notification
COPY notifications (id, type, category, priority, content, created_at, channels, expires_at,
    not_before, cursor, audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to)
FROM STDIN;

-- name: notifications
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE id = ANY (%(ids)s::text[]);

-- name: unfinished_broadcasts
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE resumed_to IS NOT NULL OR (cursor IS NOT NULL AND paused_at IS NULL)
ORDER BY id;

-- name: guard_broadcasts
-- What another worker is carrying on is left out; nobody else carries on what is given here.
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE resumed_to IS NOT NULL OR (cursor IS NOT NULL AND paused_at IS NULL)
ORDER BY id FOR UPDATE SKIP LOCKED;

-- name: paused_notifications
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE paused_at IS NOT NULL ORDER BY id;

-- name: lock_notification
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE id = %(id)s FOR UPDATE;

-- name: pause_notification
UPDATE notifications SET paused_at = %(at)s, paused_by = %(by)s, resumed_to = NULL
WHERE id = %(id)s;

-- name: resume_notification
UPDATE notifications SET resumed_to = %(to)s::text,
    paused_at = CASE WHEN %(to)s::text IS NULL THEN NULL ELSE paused_at END,
    paused_by = CASE WHEN %(to)s::text IS NULL THEN '' ELSE paused_by END
WHERE id = %(id)s;

-- name: pause_deliveries
UPDATE due SET paused = TRUE, promised = FALSE, held = FALSE, rule = NULL,
    state = CASE WHEN decided THEN 'deferred' ELSE due.state END, due_at = d.expires_at
FROM deliveries d
WHERE d.id = due.delivery_id AND due.delivery_id IN (
    SELECT delivery_id FROM due
    WHERE delivery_id = ANY (%(ids)s::text[]) AND state <> 'sending' AND NOT paused
    ORDER BY delivery_id FOR UPDATE
)
RETURNING due.delivery_id;

-- name: resume_deliveries
UPDATE due SET paused = FALSE, decided = FALSE, due_at = greatest(%(now)s, not_before)
WHERE delivery_id IN (
    SELECT delivery_id FROM due
    WHERE delivery_id = ANY (%(ids)s::text[]) AND state <> 'sending' AND paused
    ORDER BY delivery_id FOR UPDATE
)
RETURNING delivery_id;

-- name: advance_broadcast
UPDATE notifications SET cursor = %(cursor)s WHERE id = %(id)s AND NOT cancelled;

-- name: cancel_broadcast
UPDATE notifications SET cursor = NULL, cancelled = TRUE WHERE id = %(id)s;

-- name: add_delivery
COPY deliveries (id, notification_id, recipient, channel, address, type, category, priority,
    created_at, expires_at, state, rule, reason, attempts, tries, crashes, updated_at, digest_id,
    ref)
FROM STDIN;

-- name: add_due
COPY due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided, held, grp,
    rule, reason, attempts, tries, crashes, channel)
FROM STDIN;

-- name: guard_shared
-- Decisions share this lock; what they are based on (policies, people) changes under it alone.
SELECT pg_advisory_xact_lock_shared(%(lock)s);

-- name: guard_alone
SELECT pg_advisory_xact_lock(%(lock)s);

-- name: guard_shards
SELECT id FROM shards WHERE id = ANY (%(shards)s::smallint[]) ORDER BY id FOR UPDATE;

-- name: try_shards
SELECT id FROM shards WHERE id = ANY (%(shards)s::smallint[]) ORDER BY id FOR UPDATE SKIP LOCKED;

-- name: due_candidates
-- Of each priority as many as there may be of all: which of them go is not decided here.
SELECT p.priority, c.delivery_id, c.shard
FROM unnest(%(priorities)s::smallint[], %(until)s::bigint[]) AS p (priority, until), LATERAL (
    SELECT q.due_at, q.delivery_id, q.shard FROM due q
    WHERE q.priority = p.priority AND q.due_at <= p.until
        AND q.shard <> ALL (%(taken)s::smallint[]) AND q.channel <> ALL (%(busy)s::text[])
    ORDER BY q.due_at, q.delivery_id LIMIT %(most)s
) AS c
ORDER BY p.priority DESC, c.due_at, c.delivery_id;

-- name: due
SELECT d.* FROM queue_rows d WHERE d.id = ANY (%(ids)s::text[]) AND d.due_at <= %(now)s
ORDER BY d.priority DESC, d.due_at, d.id;

-- name: line_lengths
SELECT recipient, count(*) FROM due
WHERE recipient = ANY (%(recipients)s::text[]) AND state <> 'sending' AND NOT paused
GROUP BY recipient;

-- name: lines
SELECT * FROM queue_rows
WHERE recipient = ANY (%(recipients)s::text[]) AND state <> 'sending' AND NOT paused
ORDER BY recipient, due_at, id;

-- name: line_end
-- The last part of one long line.
SELECT * FROM (
    SELECT * FROM queue_rows WHERE recipient = %(recipient)s AND state <> 'sending' AND NOT paused
    ORDER BY due_at DESC, id DESC LIMIT %(view)s
) AS line ORDER BY due_at, id;

-- name: held
SELECT recipient FROM due
WHERE held AND state <> 'sending' AND priority = %(priority)s AND recipient > %(after)s
ORDER BY recipient LIMIT %(most)s;

-- name: lessees
SELECT DISTINCT owner FROM due WHERE state = 'sending' ORDER BY owner;

-- name: next_due
SELECT min(first.due_at + p.age)
FROM unnest(%(priorities)s::smallint[], %(ages)s::bigint[]) AS p (priority, age), LATERAL (
    SELECT q.due_at FROM due q
    WHERE q.priority = p.priority AND q.channel <> ALL (%(busy)s::text[])
    ORDER BY q.due_at LIMIT 1
) AS first;

-- name: lease
UPDATE due SET state = 'sending', due_at = r.until, attempts = r.attempt, crashes = r.crashes,
    owner = r.owner, promised = FALSE, decided = TRUE, begun = FALSE,
    paused = FALSE
FROM unnest(%s::bigint[], %s::integer[], %s::integer[], %s::text[], %s::text[])
    AS r (until, attempt, crashes, owner, id)
WHERE delivery_id = r.id;

-- name: extend
UPDATE due SET state = 'sending', due_at = r.until, owner = r.owner, attempts = attempts + 1,
    promised = FALSE, decided = TRUE, begun = FALSE,
    paused = FALSE
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS r (until, owner, id)
WHERE delivery_id = r.id;

-- name: queued_of
-- In the order of their ids, as everybody locks them.
SELECT delivery_id, state, attempts, delivery_id FROM due
WHERE delivery_id = ANY (%(ids)s::text[]) ORDER BY delivery_id FOR UPDATE;

-- name: finished_of
SELECT id, state, attempts, NULL FROM deliveries
WHERE id = ANY (%(ids)s::text[]) AND state IS NOT NULL ORDER BY id FOR UPDATE;

-- name: finish
UPDATE deliveries SET state = r.state, rule = r.rule, reason = r.reason, attempts = r.attempts,
    tries = r.tries, crashes = r.crashes, updated_at = r.at,
    digest_id = coalesce(r.digest, digest_id), ref = coalesce(r.ref, deliveries.ref)
FROM unnest(%s::text[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::integer[],
    %s::bigint[], %s::text[], %s::text[], %s::text[])
    AS r (state, rule, reason, attempts, tries, crashes, at, digest, ref, id)
WHERE deliveries.id = r.id;

-- name: finish_held
-- What is held under this attempt leaves the queue and is finished; gives its ids.
WITH held AS (
    DELETE FROM due
    USING unnest(%s::text[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::integer[],
        %s::bigint[], %s::text[], %s::text[], %s::text[])
        AS r (state, rule, reason, attempts, tries, crashes, at, digest, ref, id)
    WHERE delivery_id = r.id AND due.attempts = r.attempts AND due.state = 'sending'
    RETURNING r.*
)
UPDATE deliveries SET state = held.state, rule = held.rule, reason = held.reason,
    attempts = held.attempts, tries = held.tries, crashes = held.crashes, updated_at = held.at,
    digest_id = coalesce(held.digest, digest_id), ref = coalesce(held.ref, deliveries.ref)
FROM held WHERE deliveries.id = held.id
RETURNING deliveries.id;

-- name: leave_queue
DELETE FROM due WHERE delivery_id = ANY (%s::text[]);

-- name: wait_again
UPDATE due SET state = r.state, due_at = r.due_at, not_before = r.not_before, held = r.held,
    grp = r.grp, rule = r.rule, reason = r.reason, tries = r.tries, crashes = r.crashes,
    promised = FALSE, decided = TRUE, begun = FALSE, owner = '', paused = FALSE
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::boolean[], %s::text[], %s::text[],
    %s::text[], %s::integer[], %s::integer[], %s::text[])
    AS r (state, due_at, not_before, held, grp, rule, reason, tries, crashes, id)
WHERE delivery_id = r.id;

-- name: reopen
-- A finished delivery returns to the queue (see wait_again for the rest of its values).
INSERT INTO due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided,
    held, grp, rule, reason, attempts, tries, crashes, channel)
SELECT id, recipient, priority, 0, 0, 'queued', FALSE, TRUE, FALSE, '', NULL, NULL, attempts, 0, 0,
    channel
FROM deliveries WHERE id = ANY (%s::text[]);

-- name: touch
UPDATE deliveries SET state = NULL, rule = NULL, reason = NULL, updated_at = r.at
FROM unnest(%s::bigint[], %s::text[]) AS r (at, id) WHERE deliveries.id = r.id;

-- name: wake
UPDATE due SET due_at = greatest(%(now)s, not_before) WHERE delivery_id IN (
    SELECT delivery_id FROM due
    WHERE recipient = ANY (%(recipients)s::text[]) AND held AND state <> 'sending'
    ORDER BY delivery_id FOR UPDATE
);

-- name: wake_anew
UPDATE due SET due_at = greatest(%(now)s, not_before), rule = NULL WHERE delivery_id IN (
    SELECT delivery_id FROM due
    WHERE recipient = ANY (%(recipients)s::text[]) AND held AND state <> 'sending'
        AND priority = %(priority)s
    ORDER BY delivery_id FOR UPDATE
);

-- name: turn_back_queue
-- Leases and retries were counted from a wrong now, and what was to go at once is due now.
UPDATE due SET
    due_at = CASE WHEN attempts > 0 THEN %(to)s ELSE greatest(not_before, %(to)s) END,
    not_before = CASE WHEN attempts > 0 THEN least(not_before, %(to)s) ELSE not_before END
WHERE due_at > %(to)s AND (attempts > 0 OR promised OR NOT decided) AND NOT paused;

-- name: renew
UPDATE due SET due_at = %(until)s
FROM unnest(%(ids)s::text[], %(numbers)s::integer[]) AS r (id, number)
WHERE delivery_id = r.id AND attempts = r.number AND state = 'sending'
RETURNING delivery_id;

-- name: begin
UPDATE due SET begun = TRUE
FROM unnest(%(ids)s::text[], %(numbers)s::integer[]) AS r (id, number)
WHERE delivery_id = r.id AND attempts = r.number AND state = 'sending'
RETURNING delivery_id;

-- name: release
UPDATE due SET due_at = least(due_at, %(now)s), begun = begun OR %(doubt)s
WHERE state = 'sending' AND (%(everybody)s OR owner = ANY (%(owners)s::text[]))
    AND delivery_id <> ALL (%(keep)s::text[]);
