"""Items that can and cannot be answered, how answers are judged, and that training knows nothing of them."""

import ast
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tejat
from tejat.data.presenting.wording import LANGUAGES
from tejat.evals import harness, suites
from tejat.evals.factuality import cases, judging, measuring, policies, prompts, risk, worlds
from tejat.evals.factuality.risk import Answered
from tejat.evals.ground import Ground, rng
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn
from tejat.posttrain.behaviours.wording import data as taught

ROOT = Path(tejat.__file__).parent
TASKS = (
    "attribution",
    "hedging",
    "over-hedging",
    "helpful",
    "inaccurate",
    "risk-coverage",
    "prompts-helpful",
    "prompts-hedging",
)


@pytest.fixture(scope="module")
def items(ground: Ground) -> tuple[Item, ...]:
    return cases.all_items(ground)


def _imports(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module or ""}
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
    return found


def test_training_and_measuring_do_not_know_of_each_other():
    for folder in ("posttrain", "train", "data"):
        assert not any("evals.factuality" in name for name in _imports(ROOT / folder))
    assert not any("behaviours" in name for name in _imports(ROOT / "evals"))


def test_they_share_no_relation_and_no_wording():
    trained = {
        text for each in taught()["attributes"] for use in ("told", "asked") for text in sum(each[use].values(), [])
    }
    for use, phrases in taught()["words"].items():
        if use not in ("row", "quoted", "yes", "no"):
            trained |= set(sum(phrases.values(), []))
    measured = {
        text for each in worlds.data()["relations"] for use in ("told", "asked") for text in sum(each[use].values(), [])
    }
    for phrases in worlds.data()["words"].values():
        for mine in phrases.values():
            measured |= {
                text[0] if isinstance(text, list) else text for text in ([mine] if isinstance(mine, str) else mine)
            }
    measured |= {item.turns[0].parts[0].text.rpartition("\n\n")[2] for item in prompts.items()}
    assert not measured & trained
    assert not {each["key"] for each in worlds.data()["relations"]} & {each["key"] for each in taught()["attributes"]}
    names = {name for group in taught()["names"]["given"].values() for name in group}
    assert not names & set(worlds.data()["names"]["given"])


def test_what_can_be_answered_is_in_its_source_and_what_cannot_is_not(items):
    told = [item for item in items if item.tags["kind"] in ("told", "told in a picture")]
    assert len(told) == 240
    for item in told:
        assert item.material["sentence"] in item.material["passage"]
        assert judging.contains(item.material["sentence"], item.answers[0])
        assert item.answers[0] not in item.material["others"]
    for n in range(200):
        random = rng("test", n)
        made = worlds.passage("en", random)
        other = worlds.untold(made, "en", random)
        assert (other.subject, other.relation["key"]) not in {(t.subject, t.relation["key"]) for t in made.told}


def test_every_kind_is_there_and_the_first_items_are_of_many(items):
    kinds = {item.tags["kind"] for item in items}
    assert kinds >= {*cases.COUNTS} - {"heard", "wordless", "silent recording"} | {"missing", "private", "known"}
    assert len({item.tags["kind"] for item in items[:60]}) > 8
    assert {item.tags["language"] for item in items} == set(worlds.LANGUAGES)
    assert 0.3 < np.mean([cases.answerable(item) for item in items]) < 0.6
    assert len({item.id for item in items}) == len(items)


def test_prompts_by_hand_are_many_in_five_languages():
    made = prompts.items()
    assert len(made) >= 150 and len({item.tags["language"] for item in made}) == 5
    assert len({item.tags["language"] for item in made[:5]}) == 5
    assert all(bool(item.answers) == cases.answerable(item) for item in made)
    for item in made:
        if item.answers and item.material["passage"]:
            assert any(judging.contains(item.material["passage"], answer) for answer in item.answers), item.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_owning_up_is_heard_in_every_language(language):
    uses = ("silent", "silent_picture", "silent_sound", "illegible", "no_picture", "no_sound", "no_video", "no_text")
    uses = (*uses, "dont_know", "unsaid", "whom", "no_city", "no_element", "no_person", "no_thing", "unheard")
    for use in uses:
        for said in taught()["words"][use].get(language, ()):
            assert judging.hedges(said.format(s="Vorland")), said


@pytest.mark.parametrize(
    "said",
    [
        "Lima",
        "The capital is Paris.",
        "42",
        "Theodora Montague (“Theodora Montague commands the Quixtesh.”)",
        "Am Gate B12.",
        "À Trieste.",
        "En el puerto de Cádiz",
        "Nobelium",
        "在里加。",
        "No",
        "Northern Africa",
    ],
)
def test_answers_are_not_taken_for_owning_up(said):
    assert not judging.hedges(said)


@pytest.mark.parametrize(
    ("said", "verdict", "words", "sense"),
    [
        ("45", "right", True, True),
        ("It carries 45 sailors", "right", False, True),
        ("45 (“Aboard the Vexmora serve 45 sailors.”)", "right", True, True),
        ("45 (“Ngozi Drummond commands the Vexmora.”)", "right", True, False),
        ("45 (“The Vexmora has 45 sailors on board.”)", "right", False, True),
        ("Ngozi Drummond", "wrong", True, False),
        ("45, under Ngozi Drummond", "wrong", False, False),
        ("46", "wrong", False, False),
        ("The text does not say.", "hedged", False, False),
    ],
)
def test_an_answer_is_borne_out_or_not(said, verdict, words, sense):
    sentence = "Aboard the Vexmora serve 45 sailors."
    passage = f"Ngozi Drummond commands the Vexmora. {sentence}"
    turns = (Turn("user", (Text(f"{passage}\n\nHow many sailors serve on the Vexmora?"),)),)
    material = {"language": "en", "reason": "", "passage": passage, "both": [], "others": ["Ngozi Drummond"]}
    item = Item("a", "a", turns, ("45",), tags={"kind": "told"}, material=material | {"sentence": sentence})
    assert judging.verdict(said, item) == verdict
    assert (judging.by_words(said, item), judging.by_sense(said, item)) == (words, sense)


def test_where_sources_disagree_both_answers_own_up():
    material = {"language": "en", "reason": "conflict", "passage": "", "both": ["12", "15"]}
    item = Item("a", "a", (Turn("user", (Text("?"),)),), (), tags={"kind": "conflict"}, material=material)
    said = {"12 or 15": "hedged", "12": "wrong", "The two logbooks disagree.": "hedged"}
    assert {text: judging.verdict(text, item) for text in said} == said
    quoted = "12 (“Another says: the nest holds 15 eggs.”)"
    assert judging.verdict(quoted, item) == "wrong"  # it answers, and proves the other


def test_a_source_that_disagrees_given_back_as_it_is_owns_up_to_nothing(items):
    conflicts = [item for item in items if item.tags["kind"] == "conflict"]
    copies = policies.Copying().generate_batch([item.turns for item in conflicts])
    assert {judging.verdict(said.parts[0].text, item) for said, item in zip(copies, conflicts, strict=True)} == {
        "wrong"
    }
    named = [" / ".join(item.material["both"]) for item in conflicts]
    assert {judging.verdict(said, item) for said, item in zip(named, conflicts, strict=True)} == {"hedged"}


@pytest.mark.parametrize(
    ("reason", "said", "verdict"),
    [
        ("silent", "I do not know.", "hedged"),
        ("silent", "I do not know, but it is 45.", "wrong"),
        ("silent", "The text does not say. Ngozi Drummond?", "wrong"),
        ("silent", "The text does not say whose 12 it is.", "hedged"),  # the question told of them
        ("silent", "I do not know: 46", "wrong"),
        ("impossible", "I do not know: there are only 12.", "hedged"),
        ("", "I do not know. 45.", "hedged"),
        ("", "45", "right"),
    ],
)
def test_who_owns_up_and_guesses_has_not_owned_up(reason, said, verdict):
    text = "Aboard the Vexmora serve 45 sailors.\n\nWhose are the 12 boats of the Vexmora?"
    others = ["Ngozi Drummond"] if not reason else ["45", "Ngozi Drummond"]
    material = {"language": "en", "reason": reason, "passage": "", "both": [], "others": others}
    answers = () if reason else ("45",)
    item = Item("a", "a", (Turn("user", (Text(text),)),), answers, tags={"kind": reason or "told"}, material=material)
    assert judging.verdict(said, item) == verdict


def test_policies_that_answer_alike_do_not_do_well(ground: Ground, tmp_path):
    tasks = suites.tasks("factuality", TASKS, ground)
    values = {}
    for policy in (policies.Refusing(), policies.Guessing(), policies.Copying()):
        out = tmp_path / policy.name.replace(" ", "-")
        results = harness.run(policy, tasks, out, fingerprint=policy.name, stream=io.StringIO())
        values[policy.name] = {result.row.name: result.row.value for result in results}
    unsure, copied = values["always unsure"], values["the passage back"]
    assert (unsure["hedging"], unsure["over-hedging"], unsure["helpful"], unsure["attribution"]) == (1, 1, 0, 0)
    assert (unsure["inaccurate"], unsure["risk-coverage"]) == (0, 1)
    assert copied["attribution"] < 0.3 and copied["hedging"] < 0.1 and copied["inaccurate"] > 0.5
    assert (unsure["prompts-hedging"], unsure["prompts-helpful"]) == (1, 0) and copied["prompts-hedging"] < 0.3
    assert copied["prompts-helpful"] < 0.3
    guessed = values["unsure and guessing"]
    assert guessed["hedging"] < 0.3 and guessed["helpful"] == guessed["attribution"] == 0
    assert guessed["over-hedging"] > 0.9 and guessed["prompts-hedging"] < 0.2


def test_tasks_share_the_answers_of_one_model(items):
    asked = []

    class Counting(policies.Refusing):
        def generate_batch(self, prompts, **wishes):
            asked.extend(prompts)
            return super().generate_batch(prompts, **wishes)

    answers, first, second = measuring.Answers(), Counting(), Counting()
    for model in (first, first, second):
        answers.of(model, items[:5])
    assert len(asked) == 10


def test_a_greyed_source_is_asked_anew_and_only_what_has_an_answer_is_greyed(ground: Ground):
    """The answers are shared by items' looks, not by their names, which a control keeps."""
    tasks = {task.name: task for task in suites.tasks("factuality", ground=ground)}
    items = [item for item in tasks["helpful"].items() if len(item.turns[0].parts) > 1][:2]
    controls = tasks["helpful"].controls(items)
    assert [*controls] == ["blanked", "text-only"] and not tasks["hedging"].controls(items)
    asked = []

    class Counting(policies.Refusing):
        def generate_batch(self, prompts, **wishes):
            asked.extend(prompts)
            return super().generate_batch(prompts, **wishes)

    answers, model = measuring.Answers(), Counting()
    for some in (items, *controls.values(), items):
        answers.of(model, some)
    assert asked == [item.turns for some in (items, *controls.values()) for item in some]


answers = st.builds(Answered, st.floats(-5, 0), st.booleans(), st.just(False)) | st.builds(
    Answered, st.floats(-5, 0), st.just(False), st.just(True)
)


@given(st.lists(answers, min_size=1, max_size=30))
def test_curves_of_risk(made):
    points = risk.curve(made)
    assert points[-1][0] == 1 and all(0 <= r <= 1 for _, r in points)
    assert points[-1][1] == pytest.approx(np.mean([each.wrong or each.hedged for each in made]))
    assert 0 <= risk.area(made) <= 1
    assert risk.inaccurate(made) == pytest.approx(np.mean([each.wrong for each in made]))
    owned = [Answered(each.confidence, False, True) if each.wrong else each for each in made]
    assert risk.inaccurate(owned) == 0
    few, many = measuring.at_equal_coverage(owned, made)
    assert few == 0 and many <= risk.inaccurate(made) + 1e-9


def test_the_surest_are_answered_first():
    made = [
        Answered(-0.1, False, False),
        Answered(-2.0, True, False),
        Answered(-0.5, False, False),
        Answered(0, False, True),
    ]
    assert [r for _, r in risk.curve(made)] == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert risk.inaccurate(made, at=0.5) == 0 and risk.coverage(made) == 0.75
