"""The PostgreSQL store: many workers on many machines, one truth."""
