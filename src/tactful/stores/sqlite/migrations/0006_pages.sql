-- What rules hold is decided anew in this order, some at a time.
DROP INDEX due_held;
CREATE INDEX due_held ON due (priority, recipient) WHERE held = 1;

-- The deliveries of a notification are gone through page by page.
DROP INDEX deliveries_notification;
CREATE INDEX deliveries_notification ON deliveries (notification_id, id);
