-- name: add_attempt
COPY attempts (recipient, at, delivery_id, number, type, category, channel, priority, counts,
    outcome, detail)
FROM STDIN;

-- name: judge
UPDATE attempts SET outcome = r.outcome, detail = r.detail, counts = attempts.counts AND r.counts
FROM unnest(%s::text[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::integer[],
    %s::bigint[]) AS r (outcome, detail, counts, recipient, delivery_id, number, at)
WHERE attempts.recipient = r.recipient AND attempts.delivery_id = r.delivery_id
    AND attempts.number = r.number AND attempts.at = r.at;

-- name: judge_restamped
UPDATE attempts SET outcome = r.outcome, detail = r.detail, counts = attempts.counts AND r.counts
FROM unnest(%s::text[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::integer[])
    AS r (outcome, detail, counts, recipient, delivery_id, number)
WHERE attempts.recipient = r.recipient AND attempts.delivery_id = r.delivery_id
    AND attempts.number = r.number;

-- name: history
SELECT recipient, at, type, category, channel, priority FROM attempts
WHERE recipient = ANY (%(recipients)s::text[]) AND at > %(since)s AND counts
ORDER BY recipient, at;

-- name: editions
-- No other table has had this name, number and server: neither one of the same name, nor a copy.
SELECT shard, hashtextextended(concat_ws('.', edition, 'editions'::regclass::oid,
    current_database(), extract(epoch FROM pg_postmaster_start_time())), 0)
FROM editions WHERE shard = ANY (%(shards)s::smallint[]);

-- name: next_editions
UPDATE editions SET edition = edition + 1
WHERE shard IN (
    SELECT shard FROM editions WHERE shard = ANY (%(shards)s::smallint[]) ORDER BY shard FOR UPDATE
);

-- name: attempts_of
SELECT a.delivery_id, a.number, a.recipient, a.at, a.type, a.category, a.channel, a.priority,
    a.counts, a.outcome, a.detail
FROM deliveries d JOIN attempts a ON a.recipient = d.recipient AND a.delivery_id = d.id
WHERE d.id = %(id)s
ORDER BY a.number;

-- name: latest_attempt
SELECT max(at) FROM attempts;

-- name: turn_back_attempts
UPDATE attempts SET at = %(to)s WHERE at > %(to)s;

-- name: cells
SELECT key, tat FROM cells WHERE key = ANY (%(keys)s::text[]) AND tat >= 0;

-- name: reserve_cells
INSERT INTO cells (key, tat) SELECT k, -1 FROM unnest(%(keys)s::text[]) AS k ORDER BY k
ON CONFLICT (key) DO NOTHING;

-- name: lock_cells
SELECT key, tat FROM cells WHERE key = ANY (%(keys)s::text[]) ORDER BY key FOR UPDATE;

-- name: set_cell
INSERT INTO cells (key, tat) SELECT * FROM unnest(%s::text[], %s::bigint[])
ON CONFLICT (key) DO UPDATE SET tat = excluded.tat;

-- name: turn_back_cells
UPDATE cells SET tat = greatest(tat - %(ahead)s::bigint * 1000, %(to)s::bigint * 1000)
WHERE tat > %(to)s::bigint * 1000;
