-- The ledger by weeks, so that a week that nobody counts any more goes as a whole. Weeks are made
-- ahead by the program; where there are attempts already, those of two months are made here, for
-- processes of an older version.
ALTER TABLE attempts RENAME TO attempts_past;
ALTER INDEX attempts_pkey RENAME TO attempts_past_pkey;
ALTER INDEX attempts_at RENAME TO attempts_past_at_idx;

CREATE TABLE attempts (
    recipient TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    number INTEGER NOT NULL CONSTRAINT attempts_number_check CHECK (number >= 1),
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority INTEGER NOT NULL,
    counts BOOLEAN NOT NULL,
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (recipient, at, delivery_id, number)
) PARTITION BY RANGE (at);

CREATE INDEX attempts_at ON attempts (at);

DO $$
DECLARE
    week CONSTANT BIGINT := 604800000;
    bound BIGINT;
BEGIN
    SELECT substring(pg_get_constraintdef(oid) FROM '[0-9]+')::bigint INTO bound
    FROM pg_constraint WHERE conname = 'attempts_until' AND conrelid = 'attempts_past'::regclass;
    EXECUTE format('ALTER TABLE attempts ATTACH PARTITION attempts_past'
        ' FOR VALUES FROM (MINVALUE) TO (%s)', bound);
    FOR number IN bound / week .. CASE WHEN bound > 2 * week THEN bound / week + 7 ELSE 0 END LOOP
        EXECUTE format('CREATE TABLE attempts_w%s PARTITION OF attempts'
            ' FOR VALUES FROM (%s) TO (%s) WITH (fillfactor = 60)',
            number, number * week, (number + 1) * week);
    END LOOP;
END $$;
