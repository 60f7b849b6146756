"""Players that play a solution, and the workflows: against published solutions and formulas worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env import parallel_env
from gtalign_env.agents.assistants import make_assistant
from gtalign_env.agents.players import make_player
from gtalign_env.agents.players.solution import SolutionPlayer, select_equilibrium
from gtalign_env.agents.players.turns import decisions_by_state
from gtalign_env.agents.users import load_persona
from gtalign_env.errors import UsageError
from gtalign_env.games import Bimatrix, Decision, GameTree, Leaf
from gtalign_env.play import play_episode
from gtalign_env.registration import make_scenario
from gtalign_env.scenarios.trees import tree_scenario
from gtalign_env.types import Role


def mixture(spec: str, game: Bimatrix, role: Role = "user") -> list[float]:
    """Return the chances that a player gives its moves in a bimatrix game."""
    player: Any = make_player(spec)
    return [float(chance) for chance in player.mixture(game, role)]


def behaviour(spec: str, tree: GameTree, role: Role, place: str = "") -> list[float]:
    """Return the chances that a player gives the moves of a decision."""
    player: Any = make_player(spec)
    return [float(chance) for chance in player.behaviour(tree, role)[id(tree.at(place))]]


def played(spec: str, game: str, **options: Any) -> tuple[list[tuple[str, str]], tuple[float, float]]:
    """Return the moves and both payoffs of an episode of a player with itself."""
    episode = play_episode(parallel_env(game, **options), load_persona(spec), make_assistant(spec), seed=0)
    assert not episode.error, episode.error
    return [(step.user.move, step.assistant.move) for step in episode.steps], episode.totals()


def bimatrix(game: str) -> Bimatrix:
    """Return a registered matrix game."""
    found: Bimatrix = make_scenario(game).game  # type: ignore[attr-defined]
    return found


def matrix_game(user: Any, assistant: Any) -> Bimatrix:
    """Return a bimatrix game from lists."""
    return Bimatrix(np.array(user, dtype=float), np.array(assistant, dtype=float))


# -- matrices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["nash", "simultaneous"])
@pytest.mark.parametrize(
    ("game", "cell"),
    [
        ("matrix", ("VQ", "DA")),
        ("prisoners_dilemma", ("defect", "defect")),
        ("stag_hunt", ("stag", "stag")),
        ("battle_of_sexes", ("opera", "opera")),
        ("wait_go", ("wait", "go")),
        ("duopoly", ("q2", "q2")),
    ],
)
def test_equilibrium_players__meet(spec: str, game: str, cell: tuple[str, str]) -> None:
    """Both chairs select the same equilibrium: undominated, greatest sum, evenest, first."""
    moves, _ = played(spec, game)
    assert set(moves) == {cell}


@pytest.mark.parametrize("spec", ["nash", "simultaneous"])
def test_equilibrium_players__mix_where_they_must(spec: str) -> None:
    """Rock, paper and scissors at one third each; the odd-even game at 7/12 and 5/12."""
    assert mixture(spec, bimatrix("rock_paper_scissors")) == pytest.approx([1 / 3] * 3)
    assert mixture(spec, bimatrix("odd_even"), "assistant") == pytest.approx([7 / 12, 5 / 12])


def test_nash__prefers_what_no_other_equilibrium_dominates() -> None:
    """Of the stag hunt's three equilibria it plays (3, 3), and of many equal ones the evenest."""
    assert select_equilibrium(bimatrix("stag_hunt").nash()).user_payoff == 3
    even = matrix_game([[4, 0, 0], [0, 2, 0], [0, 0, 0]], [[0, 0, 0], [0, 2, 0], [0, 0, 4]])
    assert mixture("nash", even) == [0.0, 1.0, 0.0]


def test_nash__plays_games_too_large_to_list() -> None:
    """Where not all equilibria can be listed it plays one: here the only one, that of matching 40 pennies."""
    match = np.eye(40)
    assert mixture("nash", Bimatrix(match, -match)) == pytest.approx([1 / 40] * 40)


def test_maximin__secures_its_value() -> None:
    """Battle of the sexes: the user secures 2/3 by (1/3, 2/3); dilemmas are played safe."""
    assert mixture("maximin", bimatrix("battle_of_sexes")) == pytest.approx([1 / 3, 2 / 3])
    assert mixture("maximin", bimatrix("prisoners_dilemma"), "assistant") == pytest.approx([0, 1])
    assert mixture("maximin", bimatrix("rock_paper_scissors"), "assistant") == pytest.approx([1 / 3] * 3)


def test_stackelberg__leads_the_duopoly() -> None:
    """The leader makes q3 (best against the replies q3 q2 q2 q1 q1 q0: 0, 5, 6, 9, 4, 5), the follower q1; chairs may change."""
    assert set(played("stackelberg", "duopoly")[0]) == {("q3", "q1")}
    assert set(played("stackelberg:leader=assistant", "duopoly")[0]) == {("q1", "q3")}


def test_welfare__plays_the_cell_of_its_criterion() -> None:
    """The paper's example has its optimum at DQ, AQ; an egalitarian gives up total for the worse-off side."""
    assert set(played("welfare", "matrix")[0]) == {("DQ", "AQ")}
    game = matrix_game([[9, 2], [3, 0]], [[0, 3], [2, 0]])
    assert mixture("welfare", game) == [1.0, 0.0]
    assert mixture("welfare", game, "assistant") == [1.0, 0.0]
    assert mixture("welfare:criterion=egalitarian", game, "assistant") == [0.0, 1.0]
    all_lose = matrix_game([[-9, -1], [-3, -9]], [[-9, -1], [-3, -9]])
    assert mixture("welfare:criterion=nash_product", all_lose) == [1.0, 0.0]
    assert mixture("welfare:criterion=nash_product", all_lose, "assistant") == [0.0, 1.0]


def test_welfare__breaks_ties_by_the_smaller_payoff() -> None:
    """Golden balls: three cells sum to the jackpot, and only both splitting leaves nobody with nothing; trees alike."""
    assert set(played("welfare", "golden_balls")[0]) == {("split", "split")}
    tree = GameTree(Decision("user", {"grab": Leaf(4, 0), "lose": Leaf(1, 1), "share": Leaf(2, 2)}))
    scenario = tree_scenario(tree, name="pie")
    episode = play_episode(parallel_env(scenario), load_persona("welfare"), make_assistant("welfare"), seed=0)
    assert episode.steps[0].user.move == "share"


def test_level_k__climbs() -> None:
    """Level 0 is uniform; in the paper's example level 1 plays VQ (2 > 5/3) and AQ (1.5), level 2 replies VQ and DA."""
    game = bimatrix("matrix")
    assert mixture("level_k:k=0", game, "assistant") == pytest.approx([1 / 3] * 3)
    levels = {k: (mixture(f"level_k:k={k}", game), mixture(f"level_k:k={k}", game, "assistant")) for k in (1, 2, 3)}
    assert levels == {1: ([1, 0], [0, 1, 0]), 2: ([1, 0], [1, 0, 0]), 3: ([1, 0], [1, 0, 0])}


@pytest.mark.parametrize(
    ("rationality", "cooperation"), [(0, 0.5), (0.5, 0.3386), (1, 0.2268), (2, 0.0998), (5, 0.0065)]
)
def test_quantal__matches_the_published_equilibria(rationality: float, cooperation: float) -> None:
    """Chance of cooperation in the prisoner's dilemma by rationality."""
    roles: tuple[Role, Role] = ("user", "assistant")
    for role in roles:
        found = mixture(f"quantal:rationality={rationality}", bimatrix("prisoners_dilemma"), role)
        assert found[0] == pytest.approx(cooperation, abs=5e-5)


def test_quantal__levels_reply_softly() -> None:
    """Level 1 against a coin in the prisoner's dilemma: 1.5 for cooperating, 3 for defecting."""
    found = mixture("quantal:rationality=2,level=1", bimatrix("prisoners_dilemma"))
    assert found[0] == pytest.approx(1 / (1 + math.exp(2 * (3 - 1.5))))


payoff = st.lists(st.integers(-4, 4), min_size=9, max_size=9).map(lambda cells: np.reshape(cells, (3, 3)))


@given(payoff, payoff)
def test_equilibrium_players__never_regret(user: Any, assistant: Any) -> None:
    """In any game neither player of the selected equilibrium gains by another move, and maximin gets what it secures."""
    game = Bimatrix(user, assistant)
    for spec in ("nash", "simultaneous"):
        x, y = np.array(mixture(spec, game)), np.array(mixture(spec, game, "assistant"))
        assert (user @ y).max() <= x @ user @ y + 1e-9
        assert (x @ assistant).max() <= x @ assistant @ y + 1e-9
    assert (np.array(mixture("maximin", game)) @ user).min() >= user.min(axis=1).max() - 1e-9


# -- trees --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["sequential", "nash"])
@pytest.mark.parametrize(
    ("game", "payoffs", "length"),
    [
        ("escalation", (0, 0), 1),
        ("monopoly", (2, 1), 2),
        ("hot_cold", (2, 3), 2),
        ("draco", (5, 5), 2),
        ("trigame", (4, 10), 3),
    ],
)
def test_sequential__reaches_the_subgame_perfect_end(
    spec: str, game: str, payoffs: tuple[float, float], length: int
) -> None:
    """The five published trees end where backward induction says."""
    moves, totals = played(spec, game)
    assert (totals, len(moves)) == (payoffs, length)


@pytest.mark.parametrize("talk", [0, 2])
def test_sequential__plays_on_from_any_decision(talk: int) -> None:
    """Off the path, too: in escalation the user that threatened and was met attacks (−1 > −2), also after talk."""
    env = parallel_env("escalation", talk=talk)
    player: Any = make_player("sequential:talk=silent")
    player.sit(env.scenario, "user")
    player.reset(0)
    observations, infos = env.reset(seed=0)
    chosen = []
    user_moves, assistant_moves = env.scenario.moves("user"), env.scenario.moves("assistant")
    tree: GameTree = env.scenario.game  # type: ignore[attr-defined]
    root = tree.root
    assert isinstance(root, Decision)
    second = list(root.moves)[1]
    met = root.moves[second]
    assert isinstance(met, Decision)
    script = [second]
    while env.agents:
        user = player.act(observations["user_0"], infos["user_0"])
        mask = observations["assistant_0"]["action_mask"][: len(assistant_moves)]
        legal = [assistant_moves[i] for i in np.flatnonzero(mask)]
        reply = next(name for name in ("WAIT", "SILENT", list(met.moves)[1]) if name in legal)
        if script and user_moves[user] in root.moves:
            user = user_moves.index(script.pop())  # a slip of the hand
        elif user_moves[user] not in ("WAIT", "SILENT"):
            chosen.append(user_moves[user])
        observations, _, _, _, infos = env.step({"user_0": user, "assistant_0": assistant_moves.index(reply)})
    last = met.moves[list(met.moves)[1]]
    assert isinstance(last, Decision)
    assert chosen == [list(last.moves)[1]]


def test_tree_players__follow_their_rules() -> None:
    """Monopoly: the enemy fights, so maximin stays out; trigame: the greatest total is [20, 3]."""
    assert played("maximin", "monopoly")[1] == (0, 2)
    assert played("welfare", "trigame")[1] == (20, 3)
    assert played("sequential", "rubinstein", rounds=1)[1][0] == 1.0


def test_level_k__climbs_trees() -> None:
    """Level 1 enters a market where the incumbent shares or fights by a coin (0.5 > 0); level 0 does not care."""
    tree = make_scenario("monopoly").game  # type: ignore[attr-defined]
    assert behaviour("level_k:k=0", tree, "user") == [0.5, 0.5]
    assert behaviour("level_k:k=1", tree, "user") == [0.0, 1.0]
    assert behaviour("level_k:k=1", tree, "assistant", "enter") == [1.0, 0.0]
    deep = GameTree(
        Decision(
            "user",
            {
                "stop": Leaf(1, 0),
                "go": Decision(
                    "assistant", {"take": Leaf(0, 3), "pass": Decision("user", {"a": Leaf(5, 1), "b": Leaf(0, 9)})}
                ),
            },
        )
    )
    assert behaviour("level_k:k=1", deep, "user") == [0.0, 1.0]  # a coin, then 5: 2.5 > 1
    assert behaviour("level_k:k=1", deep, "assistant", "go") == [0.0, 1.0]  # a coin between 1 and 9 beats 3
    assert behaviour("level_k:k=2", deep, "user") == [0.0, 1.0]  # it will pass
    assert behaviour("level_k:k=2", deep, "assistant", "go") == [1.0, 0.0]  # the user will take 5 and leave 1
    assert behaviour("level_k:k=3", deep, "user") == [1.0, 0.0]  # it will take


def test_quantal__solves_trees_in_agent_form() -> None:
    """Monopoly at λ = 2: sharing has chance p = 1/(1 + e⁻⁴), and entering is worth 3p − 1 against 0."""
    tree = make_scenario("monopoly").game  # type: ignore[attr-defined]
    share = 1 / (1 + math.exp(-2 * 2))
    enter = 1 / (1 + math.exp(-2 * (3 * share - 1)))
    assert behaviour("quantal:rationality=2", tree, "assistant", "enter")[0] == pytest.approx(share)
    assert behaviour("quantal:rationality=2", tree, "user")[1] == pytest.approx(enter)
    coin = 1 / (1 + math.exp(-2 * 0.5))
    assert behaviour("quantal:rationality=2,level=1", tree, "user")[1] == pytest.approx(coin)


def test_decisions_by_state__refuses_states_that_tell_too_little() -> None:
    """Where one state stands for two decisions nobody can know what to play."""
    scenario = make_scenario("hot_cold")
    honest = decisions_by_state(scenario)  # type: ignore[arg-type]
    assert len(honest) == 3
    scenario.tables.next_state[0, 1] = scenario.tables.next_state[0, 0]  # type: ignore[attr-defined]
    decisions_by_state.cache_clear()
    with pytest.raises(UsageError, match="expected states that tell where in the tree the game stands"):
        decisions_by_state(scenario)  # type: ignore[arg-type]


def test_solution_player__that_lacks_what_it_promises_says_so() -> None:
    """A subclass that lists a form of game without solving it is told which method is missing."""
    lacking = SolutionPlayer()
    with pytest.raises(UsageError, match="mixture"):
        lacking.study(Bimatrix([[1]], [[1]]), "user")
    with pytest.raises(UsageError, match="behaviour"):
        lacking.study(GameTree(Decision("user", {"go": Leaf(1, 1)})), "user")
