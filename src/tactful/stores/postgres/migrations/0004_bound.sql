-- The attempts so far are to be the first partition of a table that is partitioned by weeks. Where
-- it ends is made known in three steps, of which none keeps anybody waiting: here for what is
-- written from now on, next for what is there, then the table is exchanged.
DO $$
DECLARE
    week CONSTANT BIGINT := 604800000;
    latest BIGINT;
BEGIN
    SELECT greatest(max(at), (SELECT value::bigint FROM notes WHERE key = 'clock'), 0)
    INTO latest FROM attempts;
    EXECUTE format('ALTER TABLE attempts ADD CONSTRAINT attempts_until CHECK (at < %s) NOT VALID',
        (latest / week + 2) * week);
END $$;
