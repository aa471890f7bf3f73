"""For tests of and with Tactful: a clock that stands still, a channel that keeps everything."""

from tactful.channels.capture import CaptureChannel
from tactful.runtime.clock import ManualClock

__all__ = ["CaptureChannel", "ManualClock"]
