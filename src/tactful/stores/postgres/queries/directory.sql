-- name: recipients_by_key
SELECT seq, id, name, email, timezone, locale, addresses, mute FROM recipients
WHERE id = ANY (%(keys)s::text[]);

-- name: recipients
SELECT seq, id, name, email, timezone, locale, addresses, mute FROM recipients
WHERE seq > %(after)s AND seq <= %(until)s ORDER BY seq LIMIT %(most)s;

-- name: put_recipient
INSERT INTO recipients (id, name, email, timezone, locale, addresses, mute)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[])
ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email,
    timezone = excluded.timezone, locale = excluded.locale, addresses = excluded.addresses,
    mute = excluded.mute;

-- name: remove_recipient
DELETE FROM recipients WHERE id = %(id)s;

-- name: last_recipient
SELECT coalesce(max(seq), 0) FROM recipients;

-- name: owners
SELECT address, recipient FROM addresses
WHERE address = ANY (%(addresses)s::text[]);

-- name: put_address
INSERT INTO addresses (address, recipient) SELECT * FROM unnest(%s::text[], %s::text[])
ON CONFLICT (address) DO UPDATE SET recipient = excluded.recipient;

-- name: take_over_attempts
UPDATE attempts SET recipient = r.owner FROM unnest(%s::text[], %s::text[]) AS r (address, owner)
WHERE recipient = r.address;

-- name: take_over_due
UPDATE due SET recipient = r.owner FROM unnest(%s::text[], %s::text[]) AS r (address, owner)
WHERE recipient = r.address;

-- name: take_over_deliveries
UPDATE deliveries SET recipient = r.owner FROM unnest(%s::text[], %s::text[]) AS r (address, owner)
WHERE recipient = r.address;

-- name: leave_addresses
DELETE FROM addresses WHERE recipient = ANY (%s::text[]);

-- name: suppressions
SELECT channel, address, scope, reason, at FROM suppressions
WHERE address = ANY (%(addresses)s::text[]) ORDER BY address, channel, scope;

-- name: suppress
INSERT INTO suppressions (channel, address, scope, reason, at)
VALUES (%(channel)s, %(address)s, %(scope)s, %(reason)s, %(at)s)
ON CONFLICT (address, channel, scope) DO UPDATE SET reason = excluded.reason, at = excluded.at;

-- name: unsuppress
DELETE FROM suppressions WHERE channel = %(channel)s AND address = %(address)s;

-- name: epoch
SELECT coalesce(max(version), 0) FROM policies;

-- name: policies
SELECT version, kind, name, body, at, author FROM policies p
WHERE kind = %(kind)s AND body IS NOT NULL
    AND version = (SELECT max(version) FROM policies o WHERE o.kind = p.kind AND o.name = p.name)
ORDER BY name;

-- name: policy_history
SELECT version, kind, name, body, at, author FROM policies
WHERE kind = %(kind)s AND (%(name)s::text IS NULL OR name = %(name)s) ORDER BY version;

-- name: put_policy
INSERT INTO policies (version, kind, name, body, at, author)
SELECT coalesce(max(version), 0) + 1, %(kind)s, %(name)s, %(body)s, %(at)s, %(author)s FROM policies
RETURNING version;

-- name: remembered
SELECT key, fingerprint, answer, expires_at FROM idempotency
WHERE key = ANY (%(keys)s::text[]) AND expires_at >= 0;

-- name: reserve_keys
-- Whoever comes second with a key waits here until the first has told what it stands for.
INSERT INTO idempotency (key, fingerprint, answer, expires_at)
SELECT k, '', '', -1 FROM unnest(%(keys)s::text[]) AS k ORDER BY k ON CONFLICT (key) DO NOTHING;

-- name: remember
INSERT INTO idempotency (key, fingerprint, answer, expires_at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
    expires_at = excluded.expires_at;

-- name: note
SELECT value FROM notes WHERE key = %(key)s;

-- name: guard_note
SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(key)s));

-- name: set_clock
-- Whoever finds it locked can leave it to the other: it is good to about a second.
WITH free AS (SELECT key FROM notes WHERE key = 'clock' FOR UPDATE SKIP LOCKED)
UPDATE notes SET value = %(at)s FROM free WHERE notes.key = free.key;

-- name: set_note
INSERT INTO notes (key, value) VALUES (%(key)s, %(value)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
