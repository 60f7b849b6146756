"""The text view of ``assist``: natural language in, moves and outcomes out."""
