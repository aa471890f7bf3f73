"""Simulated people and channels: what the world does with what is sent."""
