"""Games of private information in two moves: the informed side speaks first (signalling), or last (screening)."""
