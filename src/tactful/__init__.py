"""Tactful: notifications with manners."""

__version__ = "0.1.0"
