"""Feedback in: bounces and complaints by mail, receipts by webhook (`engine.feedback.reports`)."""
