-- The span that asked for it, as a traceparent of W3C Trace Context, or empty.
ALTER TABLE notifications ADD COLUMN trace TEXT NOT NULL DEFAULT '';
