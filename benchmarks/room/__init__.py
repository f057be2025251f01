"""A small game that the package does not ship, as a foreign environment: a locked room."""
