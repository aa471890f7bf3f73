"""The webhooks of providers, one module each: whose they are, and what they say."""
