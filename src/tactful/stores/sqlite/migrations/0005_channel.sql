-- Through which channel: what goes through one that is busy is passed over.
ALTER TABLE due ADD COLUMN channel TEXT NOT NULL DEFAULT '';
UPDATE due SET channel = (SELECT d.channel FROM deliveries d WHERE d.id = due.delivery_id);

DROP INDEX due_claim;
CREATE INDEX due_claim ON due (priority, due_at, delivery_id, channel);
