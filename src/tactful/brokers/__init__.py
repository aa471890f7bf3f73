"""Message brokers that submissions come from and events go to: one module for each kind.

Their libraries are extras, so nothing here is imported before the URL of a broker asks for it:
see `settings`.
"""
