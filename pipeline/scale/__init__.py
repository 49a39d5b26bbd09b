"""A fleet on more than one machine: how many, who is where, and what becomes of it (README.md)."""
