-- name: recipients_by_key
SELECT seq, id, name, email, timezone, locale, addresses, mute FROM recipients
WHERE id IN (SELECT value FROM json_each(:keys));

-- name: recipients
SELECT seq, id, name, email, timezone, locale, addresses, mute FROM recipients
WHERE seq > :after AND seq <= :until ORDER BY seq LIMIT :most;

-- name: put_recipient
INSERT INTO recipients (id, name, email, timezone, locale, addresses, mute)
VALUES {rows}
ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email,
    timezone = excluded.timezone, locale = excluded.locale, addresses = excluded.addresses,
    mute = excluded.mute;

-- name: remove_recipient
DELETE FROM recipients WHERE id = :id;

-- name: last_recipient
SELECT coalesce(max(seq), 0) FROM recipients;

-- name: owners
SELECT address, recipient FROM addresses
WHERE address IN (SELECT value FROM json_each(:addresses));

-- name: put_address
INSERT INTO addresses (address, recipient)
VALUES {rows}
ON CONFLICT (address) DO UPDATE SET recipient = excluded.recipient;

-- name: take_over_attempts
UPDATE attempts SET recipient = r.column2 FROM (VALUES {rows}) AS r WHERE recipient = r.column1;

-- name: take_over_due
UPDATE due SET recipient = r.column2 FROM (VALUES {rows}) AS r WHERE recipient = r.column1;

-- name: take_over_deliveries
UPDATE deliveries SET recipient = r.column2 FROM (VALUES {rows}) AS r WHERE recipient = r.column1;

-- name: leave_addresses
DELETE FROM addresses WHERE recipient IN (VALUES {rows});

-- name: suppressions
SELECT channel, address, scope, reason, at FROM suppressions
WHERE address IN (SELECT value FROM json_each(:addresses)) ORDER BY address, channel, scope;

-- name: suppress
INSERT INTO suppressions (channel, address, scope, reason, at)
VALUES (:channel, :address, :scope, :reason, :at)
ON CONFLICT (address, channel, scope) DO UPDATE SET reason = excluded.reason, at = excluded.at;

-- name: unsuppress
DELETE FROM suppressions WHERE channel = :channel AND address = :address;

-- name: epoch
SELECT coalesce(max(version), 0) FROM policies;

-- name: policies
SELECT version, kind, name, body, at, author FROM policies p
WHERE kind = :kind AND body IS NOT NULL
    AND version = (SELECT max(version) FROM policies o WHERE o.kind = p.kind AND o.name = p.name)
ORDER BY name;

-- name: policy_history
SELECT version, kind, name, body, at, author FROM policies
WHERE kind = :kind AND (:name IS NULL OR name = :name) ORDER BY version;

-- name: put_policy
INSERT INTO policies (kind, name, body, at, author) VALUES (:kind, :name, :body, :at, :author)
RETURNING version;

-- name: remembered
SELECT key, fingerprint, answer, expires_at FROM idempotency
WHERE key IN (SELECT value FROM json_each(:keys));

-- name: remember
INSERT INTO idempotency (key, fingerprint, answer, expires_at)
VALUES {rows}
ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
    expires_at = excluded.expires_at;

-- name: note
SELECT value FROM notes WHERE key = :key;

-- name: set_note
INSERT INTO notes (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
