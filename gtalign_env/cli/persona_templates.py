"""What ``gtalign persona new`` writes: a card and a class, both complete and with every key explained."""

from __future__ import annotations

__all__ = ["CARD", "CLASS"]

CARD = """\
# A persona for GTAlign-Env. Try it:    gtalign persona try {path}
#                          Check it:  gtalign persona check {path}
# Whatever you leave out keeps the value shown here. docs/personas.md explains it all.
name = "{name}"
description = "Describe {name} in one sentence."
discloses = false          # true: its words may state its type with {{ideal_tokens}} or {{ideal_words}}

# --- Who it is: one or several types; each session draws one by its weight. Utils are the game's unit: 1 is a perfect answer.
[[types]]
weight = 1.0
ideal_tokens = 150         # length of reply it wants, in tokens (a word has about 1.3)
value = 1.0                # utils for a perfect answer
too_long = 0.2             # utils lost when a reply is e (2.7) times too long
too_short = 0.1            # utils lost when it is e times too short
reading_cost = 0.0002      # utils per token read
effort_cost = 0.004        # utils per word typed
patience = 20              # exchanges that cost one util of time
price_sensitivity = 1.0    # utils per credit paid
spread = {{ ideal_tokens = 0.2 }}   # each session moves it by up to 20 %

# --- How it behaves.
[character]
expressiveness = 0.8       # probability that it says something when it has a reaction
honesty = 1.0              # probability that what it says is true

[character.p_detailed]     # probability of speaking in detail rather than vaguely …
first = 0.4                # … before it has seen any reply (strategic view)
next = 0.4                 # … with a new question
rephrase = 0.7             # … when a reply missed and it asks again
answer = 0.8               # … when the assistant asked something

[character.reactions]      # from its own payoff to what it says; the first rule that holds wins
off_target_below = 0.3     # quality below which an answer was not what it meant
too_long_above = 0.08      # utils lost to length from which it complains …
too_short_above = 0.08     # … in either direction
too_dear_above = 1000.0    # utils paid for one exchange from which it grumbles
thanks_above = 0.4         # utils that a reply must be worth to be thanked for
dislikes_questions = 0.0   # probability of "off target" when it is asked instead of answered

[character.lies]           # what it says when it is not honest: opposite, none, thanks, too_long, too_short, off_target
short = "opposite"
medium = "opposite"
long = "opposite"
question = "opposite"
refusal = "opposite"

[character.leave]
total_below = 1000.0       # leaves once its session total is this many utils below zero
bad_in_a_row = 0           # leaves after so many bad exchanges in a row; 0: never

[character.drift]
ideal_tokens = 1.0         # factor on the length it asks for, with every question
limit = 1000.0             # longest reply that it will ever ask for

# --- How it talks (text view). Several variants make it lively; none comes twice in a row.
[wording]
greeting = ["Hello."]
closer = ["Take your time."]
thanks = ["Thanks, that helps."]
too_long = ["That was longer than I need."]
too_short = ["That was a bit short."]
off_target = ["That is not what I meant."]
leave = ["I will leave it there. Goodbye."]
ask_vague = ["{{question}}"]
ask_detailed = ["{{question}}"]
request_vague = ["{{question}}"]          # around requests ("Write ...") rather than questions
request_detailed = ["{{question}}"]
rephrase_vague = ["Again: {{question}}"]
rephrase_detailed = ["Let me put it differently: {{question}}"]
answer_vague = ["You know, just the usual."]
answer_detailed = ["{{fact}}"]
disclosure = []

[wording.tone]
lower_case = false
typos = 0.0                # share of its own longer words that come out wrong
final_stop = true
greeting_rate = 0.5
closer_rate = 0.2
"""

CLASS = '''\
"""A persona for GTAlign-Env. Try it: gtalign persona try {path}:{class_name}"""

from gtalign_env.agents.users import ScriptedPersona
from gtalign_env.types import UserMove, UserType


class {class_name}(ScriptedPersona):
    """Wants short answers, and says so."""

    name = "{name}"
    description = "Describe {name} in one sentence."
    types = UserType(name="{name}", ideal_tokens=80, too_long=0.3)

    def choose(self, sight, info):
        """Return the next move: how the next utterance is put, and a reaction to the reply before."""
        if self.heard.tokens > 2 * self.ideal_tokens:
            return UserMove("DQ", "too_long")
        return super().choose(sight, info)

    def say(self, move, info):
        """Return the words for a move (text view)."""
        return super().say(move, info)
'''
