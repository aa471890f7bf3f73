-- name: add_attempt
INSERT INTO attempts (recipient, at, delivery_id, number, type, category, channel, priority, counts,
    outcome, detail)
VALUES {rows};

-- name: judge
UPDATE attempts SET outcome = r.column1, detail = r.column2, counts = min(counts, r.column3)
FROM (VALUES {rows}) AS r
WHERE recipient = r.column4 AND delivery_id = r.column5 AND number = r.column6
    AND at = r.column7;

-- name: judge_restamped
UPDATE attempts SET outcome = r.column1, detail = r.column2, counts = min(counts, r.column3)
FROM (VALUES {rows}) AS r
WHERE recipient = r.column4 AND delivery_id = r.column5 AND number = r.column6;

-- name: history
-- CROSS JOIN keeps the written order of the joins: recipients first, then their range.
SELECT a.recipient, a.at, a.type, a.category, a.channel, a.priority
FROM json_each(:recipients) AS r CROSS JOIN attempts a ON a.recipient = r.value
WHERE a.at > :since AND a.counts = 1
ORDER BY a.recipient, a.at;

-- name: attempts_of
SELECT a.delivery_id, a.number, a.recipient, a.at, a.type, a.category, a.channel, a.priority,
    a.counts, a.outcome, a.detail
FROM deliveries d CROSS JOIN attempts a ON a.recipient = d.recipient
WHERE d.id = :id AND a.delivery_id = :id
ORDER BY a.number;

-- name: turn_back_attempts
UPDATE attempts SET at = :to WHERE at > :to;

-- name: cells
SELECT key, tat FROM cells WHERE key IN (SELECT value FROM json_each(:keys));

-- name: set_cell
INSERT INTO cells (key, tat)
VALUES {rows}
ON CONFLICT (key) DO UPDATE SET tat = excluded.tat;

-- name: turn_back_cells
UPDATE cells SET tat = max(tat - :ahead * 1000, :to * 1000) WHERE tat > :to * 1000;
