"""Matrix games: one table of payoffs, played once or again and again."""
