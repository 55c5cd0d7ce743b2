"""Tasks of lm-evaluation-harness in our harness: its prompts, its filters, its metrics; our intervals and report.

Any of its tasks by name, and those in `benchmarks/`: on files of the user's own, and on the bundled sample, those with
pictures and sounds among them. What lm-eval computes of each item is kept; intervals, controls, resuming and the pages
are as of every other task.
"""

import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from copy import copy
from importlib.util import find_spec
from pathlib import Path
from sys import stderr
from typing import Any

from tejat.errors import BadInput
from tejat.evals import statistics
from tejat.evals.answering import Answering
from tejat.evals.ground import Ground
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Audio, Image, Part, Text, Turn

SUITE = "lm-eval"
LOCAL = Path(__file__).parent / "benchmarks"
FILES = ("gsm8k_local", "humaneval_local", "mgsm_local", "mmlu_redux_local", "nq_open_local", "xquad_local")
SAMPLE = (
    "sample_capitals_local",
    "sample_names_local",
    "sample_pictures_local",
    "sample_pictures_written_local",
    "sample_words_local",
    "sample_words_written_local",
)
NAMES = (*FILES, *SAMPLE)
SEED = 1234  # of the examples that are drawn, lm-eval's own
TAGS = ("language", "subject")
"""Columns of a data set that results are broken down by."""


def tasks(ground: Ground, only: Sequence[str] = ()) -> list[Task]:
    """Those named, or all of `benchmarks/`. Raises BadInput where lm-eval is not installed."""
    if find_spec("lm_eval") is None:
        raise BadInput("the suite 'lm-eval' is lm-evaluation-harness; install it with `pip install 'tejat[eval]'`")
    return [Harnessed(name, ground) for name in only or NAMES]


def sections(model: Any) -> list[Section]:
    return []


class Harnessed(Answering):
    """A task of lm-eval. Its first metric is the score; the others are in the remarks."""

    batch = 64

    def __init__(self, name: str, ground: Ground):
        super().__init__(SUITE, name, self._made, None)
        self.ground = ground
        self._task: Any = None
        self._instances: dict[str, list[Any]] = {}
        self._lm: tuple[Any, Any] = (None, None)

    @property
    def task(self) -> Any:
        """lm-eval's own. Raises BadInput for a name that it does not know, and for a data set that is not to be had."""
        if self._task is None:
            os.environ.setdefault("TQDM_DISABLE", "1")  # ours is the progress that is shown
            from lm_eval.tasks import TaskManager

            logging.getLogger("lm_eval").setLevel(logging.ERROR)
            with redirect_stdout(stderr):
                manager = TaskManager(
                    include_path=str(LOCAL),
                    metadata={"data": str(self.ground.benchmarks or "")},
                    include_defaults=self.name not in NAMES,  # thousands of files, read in some ten seconds
                )
                if self.name not in manager.all_tasks:
                    raise BadInput(f"lm-eval has no task {self.name!r}; `lm_eval ls tasks` names all")
                try:
                    found = manager.load([self.name])["tasks"]
                except BadInput:
                    raise
                except Exception as error:  # whatever a data set or a YAML raises
                    told = " ".join(str(error).split())[:200]
                    raise BadInput(f"lm-eval cannot load {self.name!r} ({type(error).__name__}: {told})") from error
            if len(found) != 1:
                raise BadInput(f"{self.name!r} is a group of {len(found)} tasks; name those that you want of it")
            (self._task,) = found.values()
            self._read()
        return self._task

    def _read(self) -> None:
        """What the configuration says of metric, direction and kind."""
        config = self._task.config
        self.metric = next(iter(self._task.aggregation()))
        self.better = "higher" if self._task.higher_is_better().get(self.metric, True) else "lower"
        choosing = self._task.OUTPUT_TYPE == "multiple_choice"
        self.kind = "proportion" if choosing or self.metric in ("exact_match", "acc", "pass@1") else "mean"
        version, shots = (config.metadata or {}).get("version", "?"), config.num_fewshot or 0
        how = "the likeliest choice" if choosing else json.dumps(config.generation_kwargs, ensure_ascii=False)
        self._how = f"lm-eval's prompts, version {version}, {shots} examples; {how}"

    @property
    def asked(self) -> str:
        return self._how if self._task is not None else ""

    def _made(self) -> list[Item]:
        task, made = self.task, []
        task.set_fewshot_seed(seed=SEED)  # the same examples in every run
        try:
            task.build_all_requests(limit=None, rank=0, world_size=1)
        except Exception as error:
            told = " ".join(str(error).split())[:200]
            raise BadInput(
                f"lm-eval cannot ask {self.name!r} ({type(error).__name__}: {told}); mend the task"
            ) from error
        by_doc: dict[int, list[Any]] = defaultdict(list)
        for instance in task.instances:
            by_doc[instance.doc_id].append(instance)
        for number, instances in by_doc.items():
            instances.sort(key=lambda instance: instance.idx)
            doc, first = instances[0].doc, instances[0]
            id = f"{number:05d}"
            self._instances[id] = instances
            target = task.doc_to_target(doc)
            choices = tuple(str(instance.args[1]) for instance in instances) if self._chooses(instances) else ()
            answer = choices[target] if choices and isinstance(target, int) and 0 <= target < len(choices) else target
            answers = tuple(map(str, answer)) if isinstance(answer, list | tuple) else (str(answer),)
            made.append(
                Item(
                    id,
                    str(doc.get("context") or doc.get("passage") or doc.get("thing") or number),
                    (Turn("user", (Text(str(first.args[0])), *self._media(first, number))),),
                    answers,
                    choices=choices,
                    chance=1 / len(choices) if choices else 0.0,
                    tags={tag: str(doc[tag]) for tag in TAGS if tag in doc},
                )
            )
        if any(isinstance(part, Audio) for item in made for part in item.turns[0].parts):
            self.ways = ("blanked", "shuffled")
        return made

    def _media(self, instance: Any, number: int) -> Sequence[Part]:
        """The pictures and sounds of a request: what a control changes, and what the report shows. Raises BadInput
        where the task shows something and has nothing to show: to ask in words alone would measure something else."""
        if len(instance.args) < 3:
            return ()
        from tejat.evals.lm_evaluation import media_of

        found = media_of(instance.args[2])
        if not found:
            raise BadInput(
                f"row {number} of lm-eval's {self.name!r} has no picture or sound, which the task is about; add it, or "
                "leave the row out"
            )
        return found

    def offered(self, item: Item) -> tuple[str, ...]:
        return tuple(choice.strip() for choice in item.choices)

    def _chooses(self, instances: Sequence[Any]) -> bool:
        return self.task.OUTPUT_TYPE == "multiple_choice" and len(instances) > 1

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        self.items()
        lm = self._adapter(model)
        # Copies: an item and its control, which share what lm-eval made of them, may be asked together.
        copies = [[copy(instance) for instance in self._instances[item.id]] for item in items]
        by_kind: dict[str, list[Any]] = defaultdict(list)
        for item, mine in zip(items, copies, strict=True):
            for instance in mine:
                instance.resps, instance.filtered_resps = [], {}
                instance.arguments = shown(instance.args, item)
                by_kind[instance.request_type] += [instance] * (instance.repeats or 1)
        for kind, asked in by_kind.items():
            for instance, response in zip(asked, getattr(lm, kind)(asked), strict=True):
                instance.resps.append(response)
        try:
            self._filter([instance for mine in copies for instance in mine])
            return [self._judged(item, mine) for item, mine in zip(items, copies, strict=True)]
        except BadInput:
            raise
        except Exception as error:  # whatever a task's own filters and metrics raise
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise BadInput(f"lm-eval's {self.name!r} cannot judge its answers ({told}); mend the task") from error

    def sampled(
        self, model: Any, prompts: Sequence[tuple[Turn, ...]], seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[tuple[Part, ...]]:
        """Answers to prompts as plain documents, or as turns where they have media, each with its seed."""
        from lm_eval.api.instance import Instance

        until = (self.task.config.generation_kwargs or {}).get("until", [])
        wishes = {"until": until, "do_sample": True, "temperature": temperature, "max_gen_toks": max_tokens}
        requests = []
        for turns, seed in zip(prompts, seeds, strict=True):
            said = "\n".join(part.text for part in turns[0].parts if isinstance(part, Text))
            media = _by_kind(turns[0].parts)
            given = (media,) if any(media.values()) else ()
            requests.append(Instance("generate_until", {}, (said, wishes | {"seed": seed}, *given), 0))
        return [(Text(text),) for text in self._adapter(model).generate_until(requests)]

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        """Is an answer right by the task's own filters and metric?"""
        text = "".join(part.text for part in parts if isinstance(part, Text))
        mine = [copy(instance) for instance in self._instances[item.id]]
        for instance in mine:
            instance.resps, instance.filtered_resps = [text], {}
        self._filter(mine)
        return self._judged(item, mine).score == 1.0

    def _adapter(self, model: Any) -> Any:
        known, lm = self._lm
        if known is not model:
            from tejat.evals.lm_evaluation import TejatLM

            lm = TejatLM(model)
            self._lm = model, lm
        return lm

    def _filter(self, instances: Sequence[Any]) -> None:
        """Runs the task's filters over some of its instances."""
        for one in self.task._filters:
            one.apply(list(instances))

    def _judged(self, item: Item, mine: Sequence[Any]) -> Outcome:
        """lm-eval's metrics of an item's instances. The first filter's count; others' are kept beside them."""
        doc = mine[0].doc
        detail: dict[str, Any] = {}
        for name in mine[0].filtered_resps:
            found = self.task.process_results(doc, [instance.filtered_resps[name] for instance in mine])
            for metric, value in found.items():
                detail[metric if not detail or metric not in detail else f"{metric},{name}"] = _plain(value)
        score = detail.get(self.metric)
        if not isinstance(score, float):
            raise BadInput(
                f"lm-eval's {self.name!r} has the metric {self.metric!r}, which is of all items together; "
                "run it with `lm_eval` and tejat.evals.lm_evaluation.TejatLM"
            )
        if item.choices:
            values = [instance.resps[0][0] for instance in mine]
            said = item.choices[max(range(len(values)), key=values.__getitem__)]
        else:
            said = str(mine[0].resps[0])
        return Outcome(score, (Text(said),), 1.0, detail)

    def estimate(self, outcomes: Sequence[Outcome], clusters: Sequence[str]):
        if self.kind == "proportion" and any(outcome.score not in (0.0, 1.0) for outcome in outcomes):
            self.kind = "mean"
        return super().estimate(outcomes, clusters)

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """The means of the other metrics."""
        names = [n for n, v in (outcomes[0].detail or {}).items() if n != self.metric and isinstance(v, float)]
        clusters = [item.cluster for item in items]
        return {name: statistics.mean([o.detail[name] for o in outcomes], clusters) for name in names}

    def chance(self, item: Item) -> float:
        return item.chance

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        return None if any(item.choices for item in items) else super().baseline(items)


def shown(arguments: tuple[Any, ...], item: Item) -> tuple[Any, ...]:
    """A request's arguments with the media of an item, which a control has greyed, silenced or left out."""
    if len(arguments) < 3:
        return arguments
    found = _by_kind(item.turns[0].parts)
    return (*arguments[:2], {name: found.get(name, given) for name, given in arguments[2].items()})


def _by_kind(parts: Sequence[Part]) -> dict[str, list[Part]]:
    """Media under the names that lm-eval hands them over by."""
    return {
        "visual": [part for part in parts if isinstance(part, Image)],
        "audio": [part for part in parts if isinstance(part, Audio)],
    }


def _plain(value: Any) -> Any:
    """A metric's value as JSON: numbers as floats, everything else as text."""
    if isinstance(value, bool | int | float) or hasattr(value, "item"):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)[:200]
