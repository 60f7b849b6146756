"""Assistants: fixed, random, heuristic and oracle by rule; language models through backends."""

from gtalign_env.agents.assistants.bayes import BayesAssistant
from gtalign_env.agents.assistants.fixed import FixedAssistant
from gtalign_env.agents.assistants.heuristic import HeuristicAssistant
from gtalign_env.agents.assistants.making import make_assistant
from gtalign_env.agents.assistants.oracle import Knowledge, OracleAssistant
from gtalign_env.agents.assistants.random import RandomAssistant
from gtalign_env.agents.assistants.rules import RuleAssistant
from gtalign_env.agents.assistants.voice import voice

__all__ = [
    "BayesAssistant",
    "FixedAssistant",
    "HeuristicAssistant",
    "Knowledge",
    "OracleAssistant",
    "RandomAssistant",
    "RuleAssistant",
    "make_assistant",
    "voice",
]
