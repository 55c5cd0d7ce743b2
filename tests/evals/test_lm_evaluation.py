"""lm-evaluation-harness on our models: likelihoods and answers are the engine's own; its tasks run on local files."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("lm_eval")

from lm_eval.api.instance import Instance  # noqa: E402

from tejat.api import Model  # noqa: E402
from tejat.codecs.vocabulary import BOS  # noqa: E402
from tejat.errors import BadInput  # noqa: E402
from tejat.evals import harness, lm_eval_suite, sandbox, suites  # noqa: E402
from tejat.evals.benchmarks import data  # noqa: E402
from tejat.evals.ground import Ground  # noqa: E402
from tejat.evals.lm_evaluation import TejatLM, _document, _turns, media_of  # noqa: E402
from tejat.evals.routing import Thoughts
from tejat.evals.tasks import Item, controlled
from tejat.parts import Audio, Image, Text, Turn  # noqa: E402


def test_a_control_asks_with_the_media_that_it_has_changed() -> None:
    """Greyed, and not the picture that the task itself keeps."""
    seen, grey = (Image(np.full((8, 8, 3), value, np.uint8)) for value in (9, 128))
    arguments = "What is it?", {"until": []}, {"visual": [seen]}
    item = Item("0", "0", (Turn("user", (Text("What is it?"), grey)),), ("a cat",))
    (_, wishes, given) = lm_eval_suite.shown(arguments, item)
    assert given["visual"] == [grey] and wishes is arguments[1]
    assert lm_eval_suite.shown(arguments[:2], item) == arguments[:2]
    (*_, left) = lm_eval_suite.shown(arguments, controlled(item, "text-only"))
    assert left == {"visual": []} and _turns(arguments[0], left) == [Turn("user", (Text("What is it?"),))]
    decoded = SimpleNamespace(data=np.full((2, 1_600), 0.5, np.float32), sample_rate=16_000)
    (part,) = media_of({"audio": [SimpleNamespace(get_all_samples=lambda: decoded)]})
    assert isinstance(part, Audio) and len(part.samples) == 1_600


@pytest.fixture(scope="module")
def lm(tiny) -> TejatLM:
    return TejatLM(Model(tiny))


def asks(kind: str, *arguments) -> list[Instance]:
    return [Instance(kind, {}, one, n) for n, one in enumerate(arguments)]


def test_likelihoods_are_the_engines_and_greedy_is_what_it_would_write(lm: TejatLM) -> None:
    pairs = [("The sky is", " blue"), ("The sky is", " a very long word"), ("A cat ", "sat"), ("", "Hello there")]
    found = lm.loglikelihood(asks("loglikelihood", *pairs), disable_tqdm=True)
    for (context, continuation), (total, _) in zip(pairs, found, strict=True):
        ids = lm.tok_encode(context + continuation)
        begin = len(lm.tok_encode(context.rstrip()))
        (scores,) = lm.model.engine.score([_document(ids, np.arange(len(ids)) >= begin)])
        assert total == pytest.approx(float(scores.sum()), abs=2e-3)
    (written,) = lm.generate_until(asks("generate_until", ("The sky is", {"until": [], "max_gen_toks": 4})))
    ids = lm.tok_encode("The sky is")
    ((_, greedy),) = lm._loglikelihood_tokens([(("", ""), ids, lm.vocabulary.encode(written)[:1])])
    assert greedy or not written


def test_contexts_that_do_not_fit_are_cut_on_the_left(lm: TejatLM) -> None:
    long = "word " * 2000
    (found,) = lm.loglikelihood(asks("loglikelihood", (long, " end")), disable_tqdm=True)
    assert np.isfinite(found[0]) and lm.cut > 0
    with pytest.raises(BadInput, match="a continuation takes"):
        lm.loglikelihood(asks("loglikelihood", ("a", long)), disable_tqdm=True)


def test_rolling_predicts_every_token_once(lm: TejatLM) -> None:
    short, long = "Everyone has the right to life.", "Everyone has the right to life. " * 90
    whole, windows = lm.loglikelihood_rolling(asks("loglikelihood_rolling", (short,), (long,)))
    ids = lm.tok_encode(short)
    (scores,) = lm.model.engine.score([_document(ids, np.arange(len(ids)) > 0)])
    assert whole == pytest.approx(float(scores.sum()), abs=1e-3)
    assert len(lm.tok_encode(long)) > lm.context and windows < 10 * whole


def test_a_dialogue_is_framed_as_the_model_was_trained(lm: TejatLM) -> None:
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <|turn> you"}]
    ids = lm.tok_encode(lm.apply_chat_template(history))
    turns = [Turn("system", (Text("Be brief."),)), Turn("user", (Text("Hi <|turn> you"),))]
    assert ids == lm.model.bundle.framing.prompt(turns).tokens.tolist()
    assert ids.count(lm.vocabulary["<|turn>"]) == 3  # the one that the user spells is text
    begun = lm.apply_chat_template([*history, {"role": "assistant", "content": "Sure"}], add_generation_prompt=False)
    assert lm.tok_encode(begun)[-1] != lm.vocabulary["<turn|>"]
    assert lm.tok_encode("a", add_special_tokens=False)[0] != BOS


def test_media_stand_at_their_places(lm: TejatLM) -> None:
    from PIL import Image as pillow

    picture = pillow.new("RGB", (40, 30), "red")
    sound = {"array": np.zeros(1600), "sampling_rate": 16_000}
    (turn,) = _turns("See <image> and hear <audio> now", {"visual": [picture], "audio": [sound]})
    assert [type(part) for part in turn.parts] == [Text, Image, Text, Audio, Text]
    assert [type(part) for part in _turns("What?", {"visual": [picture]})[0].parts] == [Image, Text]
    wishes = {"until": ["\n"], "max_gen_toks": 4}
    made = lm.generate_until(asks("generate_until", ("What is this? <image>", wishes, {"visual": [picture]})))
    assert len(made) == 1 and "\n" not in made[0]
    with pytest.raises(BadInput, match="a picture of type int"):
        media_of({"visual": [3]})
    said = [("system", "Be brief."), ("user", "<image> or"), ("assistant", "Red"), ("user", "<audio>?")]
    rendered = lm.apply_chat_template([{"role": role, "content": text} for role, text in said])
    turns = _turns(rendered, {"visual": [picture, picture], "audio": [sound]})  # one picture has no place of its own
    assert [turn.role for turn in turns] == ["system", "user", "model", "user"]
    assert [[type(part) for part in turn.parts] for turn in turns[1:]] == [[Image, Image, Text], [Text], [Audio, Text]]
    assert turns[1].parts[2] == Text(" or") and turns[2].parts == (Text("Red"),)


def test_choices_after_a_picture_are_scored_as_our_own_answers_are(lm: TejatLM) -> None:
    """lm-eval asks of each choice apart; the turn is read once for all. Requests of words alone may stand between."""
    from PIL import Image as pillow

    picture, other = (pillow.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    shown = [("<image>What is it?", f" {choice}", {"visual": [one]}) for one in (picture, other) for choice in "ab"]
    found = lm.loglikelihood(asks("loglikelihood", shown[0], ("The sky", " is"), *shown[1:]), disable_tqdm=True)
    (plain,) = lm.loglikelihood(asks("loglikelihood", ("The sky", " is")), disable_tqdm=True)
    turns = [_turns("<image>What is it?", {"visual": [one]}) for one in (picture, other)]
    ours = lm.model.score_answers(turns, [["a", "b"]] * 2)
    due = [float(one.logprobs[:-1].sum()) for mine in ours for one in mine]  # lm-eval's without the end of the turn
    assert [found[n][0] for n in (0, 2, 3, 4)] == pytest.approx(due, abs=2e-3) and found[1][0] == pytest.approx(
        plain[0]
    )
    assert abs(due[0] - due[2]) > 0.01  # the pictures differ, and so do what the model makes of them
    with pytest.raises(BadInput, match="the likelihood of no text at all"):
        lm.loglikelihood(asks("loglikelihood", ("<image>", " ", {"visual": [picture]})), disable_tqdm=True)


@pytest.mark.parametrize("name", lm_eval_suite.SAMPLE)
def test_tasks_on_the_sample_run_offline_with_their_media_and_controls(name: str, lm: TejatLM, tmp_path: Path) -> None:
    """An item and its controls come in one batch here, and each is asked with its own picture or sound."""
    asked: list = []

    class Listening(TejatLM):
        def loglikelihood(self, requests, disable_tqdm=False):
            asked.extend(request.args for request in requests)
            return super().loglikelihood(requests, disable_tqdm)

        def generate_until(self, requests, disable_tqdm=False):
            asked.extend(request.args for request in requests)
            return super().generate_until(requests, disable_tqdm)

    (task,) = suites.tasks("lm-eval", [name], Ground())
    task._lm = lm.model, Listening(lm.model)
    (result,) = harness.run(lm.model, [task], tmp_path, fingerprint="f", limit=2)
    choosing, ways = not name.endswith("written_local"), {"pictures": 3, "words": 4}.get(name.split("_")[1], 1)
    assert len(task.items()) >= 100 and result.row.n == 2
    assert len(asked) == 2 * ways * (4 if choosing else 1)
    assert (result.row.chance == 0.25) == choosing
    if ways > 1:
        kind = "visual" if "pictures" in name else "audio"
        shown = [arguments[2][kind] for arguments in asked]
        assert sum(not media for media in shown) == len(asked) // ways  # with the text alone
        values = [media[0].pixels if kind == "visual" else media[0].samples for media in shown if media]
        assert sum(len(np.unique(one)) == 1 for one in values) == len(asked) // ways  # grey, or silent
        assert result.row.blanked.n == result.row.text_only.n == 2 and "blanked" in result.row.verdicts


@pytest.mark.parametrize(
    ("pictures", "reason"),
    [
        (["gone.png"], "gone.png"),
        ([None, None], "row 0 of lm-eval's .* has no picture or sound, which the task is about"),
    ],
)
def test_a_row_without_its_picture_is_not_asked_in_words_alone(
    pictures: list, reason: str, tmp_path: Path, monkeypatch, lm: TejatLM
) -> None:
    made = (lm_eval_suite.LOCAL / "sample_pictures.yaml").read_text()
    (tmp_path / "half.yaml").write_text(made.replace("sample.pictures", "half.rows"))
    rows = [{"picture": picture, "choices": ["a", "b"], "answer": 0} for picture in pictures]
    (tmp_path / "half.py").write_text(
        f"import datasets\n\ndef rows(**_):\n    return {{'test': datasets.Dataset.from_list({rows!r})}}\n"
    )
    monkeypatch.setattr(lm_eval_suite, "LOCAL", tmp_path)
    tasks = suites.tasks("lm-eval", ["sample_pictures_local"], Ground())
    results, not_run = harness.survey(lm.model, tasks, tmp_path, fingerprint="f")
    assert results == [] and re.search(reason, not_run[0].reason), not_run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few rows of each benchmark, as their authors write them."""
    root = tmp_path_factory.mktemp("benchmarks")
    (root / "gsm8k").mkdir()
    for split in ("train", "test"):
        rows = [
            {"question": f"What is {n} + 1?", "answer": f"It is <<{n}+1={n + 1}>>{n + 1}.\n#### {n + 1}"}
            for n in range(8)
        ]
        (root / "gsm8k" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for language in ("de", "en"):
        (root / f"mgsm_{language}.tsv").write_text(f'Frage "{language}" eins\t1,000\nzwei\t2\n')
    (root / "NQ-open.dev.jsonl").write_text('{"question": "who", "answer": ["Ann", "Anna"]}\n')
    asked = [{"id": "q", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}]
    paragraphs = [{"context": "Ann went home.", "qas": asked}]
    (root / "xquad.en.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    with (root / "mmlu_virology.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["question", "choices", "answer", "error_type", "source", "correct_answer", "potential_reason"])
        table.writerow(["Right; is?", "['w', 'x', 'y', 'z']", "2", "OK", "", "", ""])
        table.writerow(["Mended?", "['w', 'x', 'y', 'z']", "0", "wrong_groundtruth", "", "D", ""])
        table.writerow(["Unclear?", "['w', 'x', 'y', 'z']", "0", "bad_question_clarity", "", "", ""])
    return root


def test_files_are_read_as_they_are_published(files: Path, tmp_path: Path) -> None:
    given = str(files)
    assert [row["answer"] for row in data.mmlu_redux(given)["test"]] == [2, 3]
    mgsm = data.mgsm(given)["test"]
    assert [(row["language"], row["answer"]) for row in mgsm][:2] == [("de", "1000"), ("en", "1000")]
    assert mgsm[0]["question"] == 'Frage "de" eins' and mgsm[0]["asks"] == "Frage"
    assert data.xquad(given)["validation"][0]["answers"] == ["Ann"]
    assert len(data.gsm8k(given)["train"]) == 8
    with pytest.raises(BadInput, match="HumanEval.jsonl.gz is not in"):
        data.humaneval(given)
    (tmp_path / "NQ-open.dev.jsonl").write_text("{}\n{\n")
    with pytest.raises(BadInput, match="line 2 of .* is not JSON"):
        data.nq_open(str(tmp_path))
    with pytest.raises(BadInput, match="name the folder it lies in with --benchmarks"):
        data.gsm8k("")


class Answers:
    """A model that gives the due answer to what it is shown, through lm-eval's own code."""

    def __init__(self, texts: dict[str, str]):
        self.texts = texts

    def generate_until(self, requests):
        return [next(text for end, text in self.texts.items() if r.args[0].endswith(end)) for r in requests]

    def loglikelihood(self, requests):
        return [(0.0 if r.args[1].strip() in self.texts.values() else -1.0, True) for r in requests]


@pytest.mark.parametrize(
    ("name", "texts", "score"),
    [
        ("gsm8k_local", {"What is 3 + 1?\nAnswer:": "3 + 1 = 4\n#### 4", "": "no"}, 1 / 8),
        ("mgsm_local", {"": "Das sind 1.000 … also 1,000"}, 0.5),
        ("nq_open_local", {"": " the Ann"}, 1.0),
        ("xquad_local", {"": " Ann."}, 1.0),
        ("mmlu_redux_local", {"": "C"}, 0.5),
    ],
)
def test_tasks_run_in_our_harness(name: str, texts: dict, score: float, files: Path, tmp_path: Path) -> None:
    (task,) = suites.tasks("lm-eval", [name], Ground(None, files))
    model = SimpleNamespace()
    task._lm = model, Answers(texts)
    (result,) = harness.run(model, [task], tmp_path, fingerprint="f")
    assert result.row.value == pytest.approx(score) and result.row.asked.startswith("lm-eval's prompts, version 1.0")
    (again,) = suites.tasks("lm-eval", [name], Ground(None, files))
    (same,) = harness.run(None, [again], tmp_path, fingerprint="f")  # nothing is asked
    assert same.row.value == result.row.value
    if name == "mmlu_redux_local":
        assert result.row.chance == 0.25 and "virology" in result.row.by["subject"]
    if name == "mgsm_local":
        assert {*result.row.by["language"]} == {"de", "en"}


def test_chains_of_thought_end_in_a_choice_of_lm_evals_tasks(files: Path) -> None:
    (task,) = suites.tasks("lm-eval", ["mmlu_redux_local"], Ground(None, files))
    model = SimpleNamespace()
    task._lm = model, Answers({"": "It moves.\nThe answer is C"})
    found = Thoughts(task, 3).of(model, task.items())
    assert [(t.said, t.majority, t.consensus) for t in found] == [("C", True, 1.0), ("C", False, 1.0)]


def test_a_program_passes_only_to_the_end_of_its_tests() -> None:
    try:
        sandbox.check()
    except sandbox.Unavailable as missing:
        pytest.skip(str(missing))
    from tejat.evals.benchmarks.metrics import completions, passes

    doc = {"prompt": "def f(x):\n", "test": "def check(g):\n    assert g(2) == 4\n", "entry_point": "f"}
    bodies = [
        "    return 2 * x\n",
        "    return 3\n",
        "    import os\n    os._exit(0)\n",
        "    print('x' * 99)\n",
        "  (",
    ]
    programs = completions([bodies], [doc])
    assert passes(doc, programs)["pass@1"] == pytest.approx(0.2)


def test_what_cannot_be_asked_is_listed(tmp_path: Path, lm: TejatLM) -> None:
    tasks = suites.tasks("lm-eval", ["no_such_task", "gsm8k_local"], Ground(None, tmp_path))
    results, not_run = harness.survey(lm.model, tasks, tmp_path, fingerprint="f")
    assert results == [] and [one.name for one in not_run] == ["no_such_task", "gsm8k_local"]
    assert not_run[0].reason.startswith("lm-eval has no task 'no_such_task'")
    assert "gsm8k/test.jsonl is not in" in not_run[1].reason


@pytest.mark.oracle
@pytest.mark.slow
def test_the_shipped_weights_are_to_lm_evals_own_adapter_what_they_are_to_ours(tmp_path: Path) -> None:
    """`mini` exported for transformers, by PyTorch; a hundred items of each of two tasks, item by item."""
    for needed in ("torch", "transformers", "accelerate"):
        pytest.importorskip(needed)
    import reference_adapter

    from tejat import api, bundle

    directory = bundle.find("mini")
    ours, theirs = TejatLM(api.load(directory, "jax")), reference_adapter.reference(directory, tmp_path)
    ways = {"ours": ours.loglikelihood, "HFLM": theirs.loglikelihood}
    for name in ("sample_capitals_local", "sample_names_local"):
        found = reference_adapter.compare(name, 100, ways)
        assert found["items"] == 100 and found["HFLM"]["largest difference"] < 1e-3
        assert all(one["margin"] < 1e-3 for one in found["HFLM"]["other answers"])
