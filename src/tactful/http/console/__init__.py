"""The console: pages for people, rendered here, over the same engine. See `site`."""
