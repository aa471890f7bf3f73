"""Tactful: notifications with manners.

Never one too many, never one lost, never a surprise: exact limits per recipient, what is over a
limit waits for its next slot, and every decision explains itself.
"""

from tactful import errors
from tactful.app import Tactful
from tactful.core.model import (
    Accepted,
    Event,
    Message,
    NotificationType,
    Outcome,
    Priority,
    Recipient,
    Rejected,
    Retry,
    State,
    Unknown,
)
from tactful.core.rules import Rule
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings
from tactful.templates.library import Template

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "Event",
    "Message",
    "NotificationType",
    "Outcome",
    "Priority",
    "Receipt",
    "Recipient",
    "Rejected",
    "Retry",
    "Rule",
    "Settings",
    "State",
    "Tactful",
    "Template",
    "Unknown",
    "errors",
]
