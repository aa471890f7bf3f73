-- Which edition the settled histories of a shard's recipients are in: the next one when something
-- in them changes. What is kept of them elsewhere is kept under it, and right as long as it is.
CREATE TABLE editions (
    shard SMALLINT PRIMARY KEY,
    edition BIGINT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO editions SELECT id, 0 FROM shards;
