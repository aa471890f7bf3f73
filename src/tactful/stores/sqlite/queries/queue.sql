-- name: add_notification
INSERT INTO notifications (id, type, category, priority, content, created_at, channels, expires_at,
    not_before, cursor, audience_end, audience, cancelled)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
FROM json_each(?);

-- name: notifications
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled
FROM notifications WHERE id IN (SELECT value FROM json_each(?));

-- name: unfinished_broadcasts
SELECT id, type, category, priority, content, created_at, channels, expires_at, not_before, cursor,
    audience_end, audience, cancelled
FROM notifications WHERE cursor IS NOT NULL ORDER BY id;

-- name: advance_broadcast
UPDATE notifications SET cursor = :cursor WHERE id = :id AND cancelled = 0;

-- name: cancel_broadcast
UPDATE notifications SET cursor = NULL, cancelled = 1 WHERE id = ?;

-- name: add_delivery
INSERT INTO deliveries (id, notification_id, recipient, channel, address, type, category, priority,
    created_at, expires_at, state, rule, reason, attempts, tries, crashes, updated_at, digest_id, ref)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
    value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16, value ->> 17,
    value ->> 18
FROM json_each(?);

-- name: add_due
INSERT INTO due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided,
    held, grp, rule, reason, attempts, tries, crashes)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
    value ->> 12, value ->> 13, value ->> 14
FROM json_each(?);

-- name: due_some
-- How many of one priority are due, at most so many: lower priorities keep their tenth.
SELECT count(*) FROM (
    SELECT 1 FROM due WHERE priority = :priority AND due_at <= :now LIMIT :most
);

-- name: due
SELECT * FROM queue_rows WHERE priority = :priority AND due_at <= :now
ORDER BY due_at, id LIMIT :most;

-- name: line_lengths
SELECT q.recipient, count(*)
FROM json_each(:recipients) AS r CROSS JOIN due q ON q.recipient = r.value
WHERE q.state <> 'sending' GROUP BY q.recipient;

-- name: lines
-- CROSS JOIN keeps the written order of the joins: recipients first, then their few rows.
SELECT w.* FROM json_each(:recipients) AS r CROSS JOIN queue_rows w ON w.recipient = r.value
WHERE w.state <> 'sending' ORDER BY w.recipient, w.due_at, w.id;

-- name: line_end
-- The last part of one long line.
SELECT * FROM (
    SELECT * FROM queue_rows WHERE recipient = :recipient AND state <> 'sending'
    ORDER BY due_at DESC, id DESC LIMIT :view
) ORDER BY due_at, id;

-- name: next_due
SELECT min(due_at) FROM (
    SELECT min(due_at) AS due_at FROM due WHERE priority = 0
    UNION ALL SELECT min(due_at) FROM due WHERE priority = 1
    UNION ALL SELECT min(due_at) FROM due WHERE priority = 2
    UNION ALL SELECT min(due_at) FROM due WHERE priority = 3
);

-- name: lease
UPDATE due SET state = 'sending', due_at = value ->> 0, attempts = value ->> 1,
    crashes = value ->> 2, promised = 0, decided = 1, begun = 0
FROM json_each(?) WHERE delivery_id = value ->> 3;

-- name: extend
UPDATE due SET state = 'sending', due_at = value ->> 0, attempts = attempts + 1, promised = 0,
    decided = 1, begun = 0
FROM json_each(?) WHERE delivery_id = value ->> 1;

-- name: where_they_are
SELECT d.id, coalesce(q.state, d.state), coalesce(q.attempts, d.attempts), q.delivery_id
FROM json_each(?) AS j CROSS JOIN deliveries d ON d.id = j.value
    LEFT JOIN due q ON q.delivery_id = d.id;

-- name: finish
UPDATE deliveries SET state = value ->> 0, rule = value ->> 1, reason = value ->> 2,
    attempts = value ->> 3, tries = value ->> 4, crashes = value ->> 5, updated_at = value ->> 6,
    digest_id = coalesce(value ->> 7, digest_id), ref = coalesce(value ->> 8, ref)
FROM json_each(?) WHERE deliveries.id = value ->> 9;

-- name: leave_queue
DELETE FROM due WHERE delivery_id IN (SELECT value ->> 0 FROM json_each(?));

-- name: wait_again
UPDATE due SET state = value ->> 0, due_at = value ->> 1, not_before = value ->> 2,
    held = value ->> 3, grp = value ->> 4, rule = value ->> 5, reason = value ->> 6,
    tries = value ->> 7, crashes = value ->> 8, promised = 0, decided = 1, begun = 0
FROM json_each(?) WHERE delivery_id = value ->> 9;

-- name: reopen
-- A finished delivery returns to the queue (see wait_again for the rest of its values).
INSERT INTO due (delivery_id, recipient, priority, due_at, not_before, state, promised, decided,
    held, grp, rule, reason, attempts, tries, crashes)
SELECT id, recipient, priority, 0, 0, 'queued', 0, 1, 0, '', NULL, NULL, attempts, 0, 0
FROM deliveries WHERE id IN (SELECT value ->> 0 FROM json_each(?));

-- name: touch
UPDATE deliveries SET state = NULL, rule = NULL, reason = NULL, updated_at = value ->> 0
FROM json_each(?) WHERE deliveries.id = value ->> 1;

-- name: wake_all
UPDATE due SET due_at = max(:now, not_before) WHERE held = 1 AND state <> 'sending';

-- name: wake_one
UPDATE due SET due_at = max(:now, not_before)
WHERE recipient = :recipient AND held = 1 AND state <> 'sending';

-- name: turn_back_queue
-- Leases and retries were counted from a wrong now, and what was to go at once is due now.
UPDATE due SET
    due_at = CASE WHEN attempts > 0 THEN :to ELSE max(not_before, :to) END,
    not_before = CASE WHEN attempts > 0 THEN min(not_before, :to) ELSE not_before END
WHERE due_at > :to AND (attempts > 0 OR promised = 1 OR decided = 0);

-- name: renew
UPDATE due SET due_at = value ->> 0
FROM json_each(?) WHERE delivery_id = value ->> 1 AND state = 'sending';

-- name: begin
UPDATE due SET begun = 1
FROM json_each(?)
WHERE delivery_id = value ->> 0 AND attempts = value ->> 1 AND state = 'sending';

-- name: begun
SELECT q.delivery_id FROM json_each(?) CROSS JOIN due q
    ON q.delivery_id = value ->> 0 AND q.attempts = value ->> 1
WHERE q.state = 'sending' AND q.begun = 1;

-- name: release
UPDATE due SET due_at = min(due_at, :now), begun = max(begun, :doubt) WHERE state = 'sending';
