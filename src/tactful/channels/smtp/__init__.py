"""Mail over SMTP: kept connections, pipelined, with an honest outcome for every message."""

from tactful.channels.smtp.channel import SmtpChannel
from tactful.channels.smtp.protocol import Timeouts

__all__ = ["SmtpChannel", "Timeouts"]
