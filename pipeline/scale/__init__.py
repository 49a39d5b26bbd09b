"""A fleet over several machines: which camera is where, who runs it there, and one endpoint for all subscribers."""
