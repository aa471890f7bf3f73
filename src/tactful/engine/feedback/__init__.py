"""What comes back: reports about deliveries, and what they say of addresses and channels."""
