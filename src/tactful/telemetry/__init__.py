"""What an operator sees: metrics, and logs for machines. `catalogue` names every metric."""
