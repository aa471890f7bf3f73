-- What rules hold is decided anew in this order, some at a time.
DROP INDEX due_held;
CREATE INDEX due_held ON due (priority, recipient) WHERE held;
