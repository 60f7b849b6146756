"""Bargaining: items to be divided by two who value them differently in private, and a pie that shrinks while they talk."""
