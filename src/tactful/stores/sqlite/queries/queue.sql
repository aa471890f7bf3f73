-- name: add_notification
INSERT INTO notifications (id, type, category, priority, content, created_at, channels, expires_at,
    not_before, cursor, audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to)
VALUES {rows};

-- name: notifications
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE id IN (SELECT value FROM json_each(:ids));

-- name: unfinished_broadcasts
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE resumed_to IS NOT NULL OR (cursor IS NOT NULL AND paused_at IS NULL)
ORDER BY id;

-- name: paused_notifications
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled, trace, paused_at, paused_by, resumed_to
FROM notifications WHERE paused_at IS NOT NULL ORDER BY id;

-- name: pause_notification
UPDATE notifications SET paused_at = :at, paused_by = :by, resumed_to = NULL WHERE id = :id;

-- name: resume_notification
UPDATE notifications SET resumed_to = :to,
    paused_at = CASE WHEN :to IS NULL THEN NULL ELSE paused_at END,
    paused_by = CASE WHEN :to IS NULL THEN '' ELSE paused_by END
WHERE id = :id;

-- name: pause_deliveries
UPDATE due SET paused = 1, promised = 0, held = 0, rule = NULL,
    state = CASE WHEN decided = 1 THEN 'deferred' ELSE state END,
    due_at = (SELECT d.expires_at FROM deliveries d WHERE d.id = due.delivery_id)
WHERE delivery_id IN (SELECT value FROM json_each(:ids)) AND state <> 'sending' AND paused = 0
RETURNING delivery_id;

-- name: resume_deliveries
UPDATE due SET paused = 0, decided = 0, due_at = max(:now, not_before)
WHERE delivery_id IN (SELECT value FROM json_each(:ids)) AND state <> 'sending' AND paused = 1
RETURNING delivery_id;

-- name: advance_broadcast
UPDATE notifications SET cursor = :cursor WHERE id = :id AND cancelled = 0;

-- name: cancel_broadcast
UPDATE notifications SET cursor = NULL, cancelled = 1 WHERE id = :id;

-- name: add_delivery
INSERT INTO deliveries (id, notification_id, recipient, channel, address, type, category, priority,
    created_at, expires_at, state, rule, reason, attempts, tries, crashes, updated_at, digest_id, ref)
VALUES {rows};

-- name: add_due
INSERT INTO due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided,
    held, grp, rule, reason, attempts, tries, crashes, channel)
VALUES {rows};

-- name: due_some
-- How many of one priority are due, at most so many: lower priorities keep their tenth.
SELECT count(*) FROM (
    SELECT 1 FROM due
    WHERE priority = :priority AND due_at <= :now
        AND channel NOT IN (SELECT value FROM json_each(:busy))
    LIMIT :most
);

-- name: due
SELECT * FROM queue_rows
WHERE priority = :priority AND due_at <= :now
    AND channel NOT IN (SELECT value FROM json_each(:busy))
ORDER BY due_at, id LIMIT :most;

-- name: line_lengths
SELECT q.recipient, count(*)
FROM json_each(:recipients) AS r CROSS JOIN due q ON q.recipient = r.value
WHERE q.state <> 'sending' AND q.paused = 0 GROUP BY q.recipient;

-- name: lines
-- CROSS JOIN keeps the written order of the joins: recipients first, then their few rows.
SELECT w.* FROM json_each(:recipients) AS r CROSS JOIN queue_rows w ON w.recipient = r.value
WHERE w.state <> 'sending' AND w.paused = 0 ORDER BY w.recipient, w.due_at, w.id;

-- name: line_end
-- The last part of one long line.
SELECT * FROM (
    SELECT * FROM queue_rows WHERE recipient = :recipient AND state <> 'sending' AND paused = 0
    ORDER BY due_at DESC, id DESC LIMIT :view
) ORDER BY due_at, id;

-- name: held
SELECT recipient FROM due
WHERE held = 1 AND state <> 'sending' AND priority = :priority AND recipient > :after
ORDER BY recipient LIMIT :most;

-- name: lessees
SELECT DISTINCT owner FROM due WHERE state = 'sending' ORDER BY owner;

-- name: next_due
SELECT min(due_at) FROM (
    SELECT a.value + (
        SELECT q.due_at FROM due q
        WHERE q.priority = p.value AND q.channel NOT IN (SELECT value FROM json_each(:busy))
        ORDER BY q.due_at LIMIT 1
    ) AS due_at
    FROM json_each(:priorities) AS p JOIN json_each(:ages) AS a USING (key)
);

-- name: lease
UPDATE due SET state = 'sending', due_at = r.column1, attempts = r.column2,
    crashes = r.column3, owner = r.column4, promised = 0, decided = 1, begun = 0, paused = 0
FROM (VALUES {rows}) AS r WHERE delivery_id = r.column5;

-- name: extend
UPDATE due SET state = 'sending', due_at = r.column1, owner = r.column2, attempts = attempts + 1,
    promised = 0, decided = 1, begun = 0, paused = 0
FROM (VALUES {rows}) AS r WHERE delivery_id = r.column3;

-- name: where_they_are
SELECT d.id, coalesce(q.state, d.state), coalesce(q.attempts, d.attempts), q.delivery_id
FROM json_each(:ids) AS j CROSS JOIN deliveries d ON d.id = j.value
    LEFT JOIN due q ON q.delivery_id = d.id;

-- name: finish
UPDATE deliveries SET state = r.column1, rule = r.column2, reason = r.column3,
    attempts = r.column4, tries = r.column5, crashes = r.column6, updated_at = r.column7,
    digest_id = coalesce(r.column8, digest_id), ref = coalesce(r.column9, ref)
FROM (VALUES {rows}) AS r WHERE deliveries.id = r.column10;

-- name: leave_queue
DELETE FROM due WHERE delivery_id IN (VALUES {rows});

-- name: wait_again
UPDATE due SET state = r.column1, due_at = r.column2, not_before = r.column3,
    held = r.column4, grp = r.column5, rule = r.column6, reason = r.column7,
    tries = r.column8, crashes = r.column9, promised = 0, decided = 1, begun = 0,
    owner = '', paused = 0
FROM (VALUES {rows}) AS r WHERE delivery_id = r.column10;

-- name: reopen
-- A finished delivery returns to the queue (see wait_again for the rest of its values).
INSERT INTO due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided,
    held, grp, rule, reason, attempts, tries, crashes, channel)
SELECT id, recipient, priority, 0, 0, 'queued', 0, 1, 0, '', NULL, NULL, attempts, 0, 0, channel
FROM deliveries WHERE id IN (VALUES {rows});

-- name: touch
UPDATE deliveries SET state = NULL, rule = NULL, reason = NULL, updated_at = r.column1
FROM (VALUES {rows}) AS r WHERE deliveries.id = r.column2;

-- name: wake
UPDATE due SET due_at = max(:now, not_before)
WHERE recipient IN (SELECT value FROM json_each(:recipients)) AND held = 1
    AND state <> 'sending';

-- name: wake_anew
UPDATE due SET due_at = max(:now, not_before), rule = NULL
WHERE recipient IN (SELECT value FROM json_each(:recipients)) AND held = 1
    AND state <> 'sending' AND priority = :priority;

-- name: turn_back_queue
-- Leases and retries were counted from a wrong now, and what was to go at once is due now.
UPDATE due SET
    due_at = CASE WHEN attempts > 0 THEN :to ELSE max(not_before, :to) END,
    not_before = CASE WHEN attempts > 0 THEN min(not_before, :to) ELSE not_before END
WHERE due_at > :to AND (attempts > 0 OR promised = 1 OR decided = 0) AND paused = 0;

-- name: renew
UPDATE due SET due_at = r.column1 FROM (VALUES {rows}) AS r WHERE delivery_id = r.column2;

-- name: begin
UPDATE due SET begun = 1 WHERE delivery_id IN (VALUES {rows});

-- name: sending
SELECT q.delivery_id, q.attempts FROM json_each(:ids) CROSS JOIN due q ON q.delivery_id = value
WHERE q.state = 'sending';

-- name: release
UPDATE due SET due_at = min(due_at, :now), begun = max(begun, :doubt)
WHERE state = 'sending' AND (:everybody OR owner IN (SELECT value FROM json_each(:owners)))
    AND delivery_id NOT IN (SELECT value FROM json_each(:keep));
