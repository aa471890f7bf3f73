"""Links in mails that lead back to us: opens, clicks, unsubscribing, preferences."""
