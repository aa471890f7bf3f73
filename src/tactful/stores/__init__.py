"""Stores: adapters of `ports.Store`. They load and write; they never decide."""
