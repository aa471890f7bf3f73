"""The HTTP service: the engine for those who do not embed Python. See `service`."""
