"""The ids that come with the package, as strings: the core imports none of what they name."""

from __future__ import annotations

import re

import gymnasium

from gtalign_env.registration import ASSISTANTS, BACKENDS, PERSONAS, PLAYERS, register_scenario

__all__ = ["SINGLE_AGENT", "register_all"]

SINGLE_AGENT: dict[str, tuple[str, str]] = {
    "gtalign/Assistant-v0": (
        "assistant",
        'The assistant\'s chair for one learner; people sit opposite. scenario="gtalign/AssistText-v0" for the text view.',
    ),
    "gtalign/User-v0": (
        "user",
        'The user\'s chair for one learner; an assistant sits opposite. scenario="gtalign/AssistText-v0" for the text view.',
    ),
}
"""Gymnasium's ids: whose chair it is, and a description."""

_PERSONAS: dict[str, str] = {
    "concise": "Wants one line, and says so when it gets a page.",
    "detailed": "Wants the whole picture with the reasons, and is let down by one-liners.",
    "balanced": "Easy-going and fair: neither a telegram nor an essay.",
    "hurried": "Impatient: types with one thumb, hates being asked back, leaves when it drags.",
    "over_vague": "Never says which one it means, and answers questions with a wave of the hand.",
    "adversarial": "Games the assistant: calls every answer too short, then every long one too long.",
    "drifting": "Starts out brisk and grows curious: each question wants about twice the answer of the last.",
    "expert": "Precise: every question is fully specified, every wrong answer is noticed.",
    "thrifty": "Price-sensitive: counts every credit and every needless question.",
    "chatty": "Warm and wordy: thanks for everything, so its thanks mean little.",
    "random": "Uniform legal moves in any scenario: the baseline that listens to nothing.",
}
_ASSISTANTS: dict[str, tuple[str, str]] = {
    "heuristic": (
        "heuristic:HeuristicAssistant",
        "Asks when it pays, learns the wanted length from reactions, declines harm.",
    ),
    "fixed": (
        "fixed:FixedAssistant",
        "One move for ever: fixed:DA_short … fixed:DECLINE; in other games theirs, fixed:defect.",
    ),
    "random": ("random:RandomAssistant", "Uniform legal moves in any scenario."),
    "trained": (
        "trained:TrainedPlayer",
        "What 'gtalign train strategic' has trained: trained:RUN_FOLDER.",
    ),
    "bayes": (
        "bayes:BayesAssistant",
        "The exact optimum against the default mix, solved as it sits down; others: bayes:objective=egalitarian,users=concise.",
    ),
    "oracle": (
        "oracle:OracleAssistant",
        "Demos and tests only: plays the heuristic's moves with the reference answers in hand.",
    ),
}
_MATRICES: dict[str, str] = {
    "PrisonersDilemma": (
        "Cooperate or defect: defecting pays whatever the other does, yet two defectors do worse than two cooperators."
    ),
    "StagHunt": ("Hunt the stag together or a hare alone: the best outcome takes two, the safe one takes nobody else."),
    "BattleOfSexes": "Opera or football: both would rather go together than alone, but each has a favourite.",
    "WaitGo": "Two cars at a crossing: one should go and one should wait, and two that go collide.",
    "Duopoly": "Two firms choose how much to make (q0 to q5): the price falls with what both bring to market.",
    "RockPaperScissors": "Each move beats one and loses to one: what the other can foresee, it beats.",
    "Iesds": "Three moves a side, and four steps of striking out dominated ones leave a single outcome.",
    "ImbalancedActions": (
        "Three moves against four: the sides differ in what they can do, and dominance still leaves one outcome."
    ),
    "WeaklyDominated": (
        "Nothing is strictly dominated, the bottom row weakly dominates: the assistant is indifferent along it."
    ),
    "RadioStation": (
        "Two stations choose a format: audiences of 50, 30 and 20 percent, halved when both play the same."
    ),
    "Chicken": "Go straight or swerve: swerving first loses face, and nobody swerving loses far more.",
    "OddEven": "Show one or two fingers: the sum goes to the user when it is odd, to the assistant when it is even.",
    "GoldenBalls": "Split or steal a jackpot: one thief takes all, two take nothing.",
}
_TREES: dict[str, str] = {
    "Escalation": (
        "Threaten and be met with escalation: whoever foresees the fight at the end keeps the peace at the beginning."
    ),
    "Monopoly": "Enter a market against a monopolist whose threat to fight costs itself more than sharing.",
    "HotCold": "Every end shares out five: what one side gains, the other has lost.",
    "Draco": "The best end for both lies two moves in: it takes two players who stop there.",
    "Trigame": (
        "Three plies: the largest total lies behind a move by which the assistant would give up a util of its own."
    ),
}
_PLAYERS: dict[str, tuple[str, str]] = {
    "random": ("uniform:UniformPlayer", "Uniform legal moves: plays every strategic game."),
    "fixed": ("fixed:FixedPlayer", "One move for ever, by its name or its index from 0: fixed:defect, fixed:1."),
    "nash": ("solution:Nash", "Its part of the best Nash equilibrium for both; backward induction in trees."),
    "simultaneous": ("solution:Simultaneous", "Workflow for matrices: where the best replies of both meet."),
    "sequential": ("solution:Sequential", "Workflow for trees: backward induction from any decision."),
    "negotiator": (
        "negotiator:Negotiator",
        "Workflow for divisions: envy-free offers, and beliefs about the other's values.",
    ),
    "maximin": ("solution:Maximin", "Secures as much as it can, whatever the other does; also in trees."),
    "stackelberg": ("solution:StackelbergPlayer", "As if one side committed first: leader=user or leader=assistant."),
    "welfare": ("solution:WelfarePlayer", "Its part of what is best for both: criterion=utilitarian; also in trees."),
    "level_k": ("solution:LevelK", "Best reply to level k-1, k=1; level 0 is random; also in trees."),
    "quantal": ("solution:Quantal", "Errs less where errors cost more: rationality=1; level=0: in equilibrium."),
    "best_response": ("learning:BestResponse", "Best reply to the other's last move, or to its last memory=1 moves."),
    "fictitious_play": ("learning:FictitiousPlay", "Best reply to all that the other has played."),
    "regret_matching": ("learning:RegretMatching", "Plays each move by how much it regrets not having played it."),
    "all_c": ("strategies:AllC", "Always cooperates: plays its part of the cell with the greatest sum."),
    "all_d": ("strategies:AllD", "Always defects: the best reply to cooperation, or else the safest other move."),
    "alternator": ("strategies:Alternator", "Cooperates and defects in turns."),
    "tit_for_tat": ("strategies:TitForTat", "Cooperates first, then does what the other did."),
    "suspicious_tft": ("strategies:SuspiciousTitForTat", "Tit for tat that defects first."),
    "generous_tft": ("strategies:GenerousTitForTat", "Tit for tat that forgives with chance generosity=1/3."),
    "contrite_tft": ("strategies:ContriteTitForTat", "Tit for tat that takes punishment for its own fault."),
    "tit_for_two_tats": ("strategies:TitForTwoTats", "Defects only after two defections in a row."),
    "win_stay_lose_shift": ("strategies:WinStayLoseShift", "Cooperates when both did the same last time (Pavlov)."),
    "grim": ("strategies:Grim", "Cooperates until the other defects, then never again."),
    "grim_n": ("strategies:GrimN", "Grim only after n=2 rounds in a row with a defection."),
    "zd_extort": (
        "strategies:ZdExtort",
        "Extortion in a prisoner's dilemma: takes factor=3 times the other's surplus.",
    ),
}


def register_all() -> None:
    """Register every shipped id with PettingZoo's registry and with Gymnasium's."""
    register_scenario(
        "gtalign/Assist-v0",
        "gtalign_env.scenarios.assist.scenario:assist",
        view="strategic",
        kind="session",
        description="A user with a latent preference brings several questions; the assistant answers, asks or declines.",
        short="assist",
    )
    register_scenario(
        "gtalign/AssistText-v0",
        "gtalign_env.scenarios.text.scenario:assist_text",
        view="text",
        kind="session",
        description="The same session in natural language: turns, transcripts, graded replies.",
        short="assist_text",
    )
    register_scenario(
        "gtalign/Matrix-v0",
        "gtalign_env.scenarios.matrix.paper:paper_matrix",
        view="strategic",
        kind="matrix",
        description="The paper's 2x3 example: vague or detailed questions against answers and clarifying questions.",
        short="matrix",
    )
    for kind, catalogue, games in (("matrix", "matrix", _MATRICES), ("tree", "trees", _TREES)):
        for name, description in games.items():
            short = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            register_scenario(
                f"gtalign/{name}-v0",
                f"gtalign_env.scenarios.{catalogue}.catalogue:{short}",
                view="strategic",
                kind=kind,
                description=description,
                short=short,
            )
    register_scenario(
        "gtalign/DealOrNoDeal-v0",
        "gtalign_env.scenarios.negotiation.deal:deal_or_no_deal",
        view="strategic",
        kind="negotiation",
        description="Books, hats and balls are divided by offers; what they are worth is each side's secret.",
        short="deal_or_no_deal",
    )
    register_scenario(
        "gtalign/Rubinstein-v0",
        "gtalign_env.scenarios.negotiation.rubinstein:rubinstein",
        view="strategic",
        kind="negotiation",
        description="Alternating offers over a pie that shrinks while nobody agrees.",
        short="rubinstein",
    )
    register_scenario(
        "gtalign/Signalling-v0",
        "gtalign_env.scenarios.signalling.spence:signalling",
        view="strategic",
        kind="signalling",
        description="A user of private worth may buy a costly degree to show it; the assistant sees the degree and sets the pay.",
        short="signalling",
    )
    register_scenario(
        "gtalign/Screening-v0",
        "gtalign_env.scenarios.signalling.plans:screening",
        view="strategic",
        kind="signalling",
        description="The assistant posts a menu of plans; a user, casual or keen in secret, takes one or leaves.",
        short="screening",
    )
    for id, (role, _) in SINGLE_AGENT.items():
        if id not in gymnasium.registry:
            gymnasium.register(
                id,
                f"gtalign_env.single_agent:{role}_env",
                vector_entry_point=f"gtalign_env.vector:{role}_vector_env",
            )
    for name, description in _PERSONAS.items():
        PERSONAS.register(name, f"gtalign_env.agents.users.shipped:{name}", description=description)
    for name, (entry, description) in _ASSISTANTS.items():
        ASSISTANTS.register(name, f"gtalign_env.agents.assistants.{entry}", description=description)
    ASSISTANTS.register(
        "nano",
        "gtalign_env.agents.nano:make_nano",
        description="The small language model that comes with the package: states payoffs before it speaks; --tasks small.",
    )
    for name, (entry, description) in _PLAYERS.items():
        PLAYERS.register(name, f"gtalign_env.agents.players.{entry}", description=description)
    BACKENDS.register(
        "transformers",
        "gtalign_env.agents.backends.transformers:TransformersBackend",
        description="A Hugging Face model or .gguf file in this process: transformers:PATH.",
    )
    BACKENDS.register(
        "nano",
        "gtalign_env.agents.nano:nano_backend",
        description="The small model that comes with the package, in this process: nano; one of your own: nano:FOLDER.",
    )
    BACKENDS.register(
        "vllm",
        "gtalign_env.agents.backends.vllm:VllmBackend",
        description="A Hugging Face model on a vLLM engine in this process: vllm:PATH.",
    )
    BACKENDS.register(
        "fake",
        "gtalign_env.agents.backends.fake:fake_backend",
        description="Deterministic, without a model: fake:echo, fake:rules, fake:chain, fake:scripted=ONE|TWO.",
    )
    BACKENDS.register(
        "openai",
        "gtalign_env.agents.backends.openai:OpenAIBackend",
        description="Any OpenAI-compatible server: openai:MODEL, at OPENAI_BASE_URL, with OPENAI_API_KEY.",
    )
