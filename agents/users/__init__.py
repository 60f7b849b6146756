"""Simulated people: personas as cards and classes, and populations of them (``docs/personas.md``)."""

from gtalign_env.agents.users.card import Card, Character, TypeEntry, Wording
from gtalign_env.agents.users.card_file import parse_card, read_card
from gtalign_env.agents.users.fidelity import Fidelity, FidelityMeter, fidelity
from gtalign_env.agents.users.finite_persona import FinitePersona
from gtalign_env.agents.users.kernel import population_kernels
from gtalign_env.agents.users.population import Population, load_persona, population
from gtalign_env.agents.users.random_user import RandomPersona
from gtalign_env.agents.users.scripted import ScriptedPersona
from gtalign_env.agents.users.shipped import CARDS, DEFAULT_SHARES, persona_from_card
from gtalign_env.agents.users.voiced import VoicedPersona

__all__ = [
    "CARDS",
    "DEFAULT_SHARES",
    "Card",
    "Character",
    "Fidelity",
    "FidelityMeter",
    "FinitePersona",
    "Population",
    "RandomPersona",
    "ScriptedPersona",
    "TypeEntry",
    "VoicedPersona",
    "Wording",
    "fidelity",
    "load_persona",
    "parse_card",
    "persona_from_card",
    "population",
    "population_kernels",
    "read_card",
]
