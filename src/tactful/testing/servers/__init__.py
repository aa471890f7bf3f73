"""Real servers for tests, private to them: found, started, crashed and removed."""
