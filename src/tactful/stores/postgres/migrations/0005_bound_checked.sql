-- Reads the whole table, while everybody goes on writing.
ALTER TABLE attempts VALIDATE CONSTRAINT attempts_until;
