"""Ledgers beside the store: histories that limits are counted on, kept on a Valkey server."""
