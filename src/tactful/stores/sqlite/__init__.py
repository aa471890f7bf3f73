"""The SQLite store: one file, one writer, durable commits, no set-up."""
