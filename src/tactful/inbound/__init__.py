"""Feedback in: bounces and complaints by mail, receipts by webhook. See `engine.reports`."""
