"""What the SQL stores have in common: named queries, and values of the ports made of their rows."""
