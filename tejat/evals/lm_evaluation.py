"""lm-evaluation-harness on our models, in process: any of its tasks, by its own code, through our engine.

    from tejat.evals.lm_evaluation import TejatLM
    lm_eval.simple_evaluate(TejatLM(tejat.load("mini")), tasks=["arc_easy"])

A prompt is a plain document, or, where a chat template is asked for, a dialogue in our framing. Contexts that are
scored several times, or begin alike, are read once (`tejat.infer.continuations`). Tasks with pictures or sounds become
one turn of the user, in which they stand at their placeholders; what is scored is then the beginning of the answer.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM

from tejat import media
from tejat.api import Model
from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.vocabulary import BOS, EOS
from tejat.errors import BadInput
from tejat.infer.continuations import continuations
from tejat.infer.engine import Generation
from tejat.infer.options import Options
from tejat.parts import RATE, Audio, Image, Part, Text, Turn

TOKENS = 256  # of an answer where the task does not say
MARK = "\ufdd0"
"""Stands on either side of a mark of the framing in a rendered dialogue. No text has this character, so none forges."""

BEGIN, END = f"{MARK}<|turn>{MARK}", f"{MARK}<turn|>{MARK}"
_MARKED = re.compile(f"{MARK}(.*?){MARK}")
_PLACEHOLDER = re.compile(r"<(?:image|audio|video)>(?:\d+)?")


class TejatLM(TemplateLM):
    """A model of ours as lm-eval wants it. What does not fit the context is cut on the left, as its own adapters do."""

    MULTIMODAL = True

    def __init__(self, model: Model):
        super().__init__()
        self.model = model
        self.vocabulary, self.context = model.bundle.vocabulary, model.bundle.config.context
        self.cut = 0  # prompts that did not fit

    # What lm-eval asks of every model

    @property
    def eot_token_id(self) -> int:
        return EOS

    @property
    def prefix_token_id(self) -> int:
        return BOS

    @property
    def max_length(self) -> int:
        return self.context

    @property
    def max_gen_toks(self) -> int:
        return TOKENS

    @property
    def tokenizer_name(self) -> str:
        return f"tejat-{self.model.name}"

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Ids of a text, in which rendered marks are marks; with <bos> first, but for False."""
        tokens = [] if add_special_tokens is False else [BOS]
        for at, piece in enumerate(_MARKED.split(string)):
            tokens += [self.vocabulary[piece]] if at % 2 else self.vocabulary.encode(piece)
        return tokens

    def tok_decode(self, tokens: Iterable[int]) -> str:
        """The text of ids."""
        return self.vocabulary.decode(tokens)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A dialogue as a string whose marks `tok_encode` knows; open at its end where the model is to go on."""
        roles = {"assistant": "model", "developer": "system"}
        rendered = ""
        for number, message in enumerate(chat_history, 1):
            role = roles.get(message["role"], message["role"])
            rendered += f"{BEGIN}{role}\n{message['content']}"
            if number < len(chat_history) or add_generation_prompt:
                rendered += f"{END}\n"
        return rendered + (f"{BEGIN}model\n" if add_generation_prompt else "")

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Its name: the template is code."""
        return "tejat" if chat_template else ""

    # What it computes

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood, is it the likeliest?) of each continuation of its context, which may have media."""
        with_media = [number for number, request in enumerate(requests) if len(request.args) > 2]
        alone = [number for number, request in enumerate(requests) if len(request.args) == 2]
        found: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for numbers, way in ((with_media, self._answers), (alone, super().loglikelihood)):
            if numbers:
                scored = way([requests[number] for number in numbers], disable_tqdm=disable_tqdm)
                for number, one in zip(numbers, scored, strict=True):
                    found[number] = one
        return found

    def _answers(self, requests: Sequence[Instance], disable_tqdm: bool) -> list[tuple[float, bool]]:
        """Of answers to turns with media; a turn is read once for all of its answers."""
        asked: dict[Any, list[int]] = {}
        for number, request in enumerate(requests):
            context, _, given = request.args
            asked.setdefault((context, *(id(one) for one in _given(given))), []).append(number)
        prompts = [self._turn(*requests[numbers[0]].args[::2]) for numbers in asked.values()]
        # lm-eval's blank before an answer parts it from a context that ours is not glued to.
        ids = [self.vocabulary.encode(request.args[1].lstrip()) for request in requests]
        wanted = [[ids[number] for number in numbers] for numbers in asked.values()]
        return self._likely(prompts, wanted, list(asked.values()), [request.args for request in requests])

    def _turn(self, context: str, given: dict[str, Any]) -> Encoded:
        return self.model.bundle.framing.prompt(_turns(context, given))

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        """(log-likelihood, is it the likeliest?) of each continuation; equal contexts are read once."""
        places: dict[tuple[int, ...], list[int]] = {}
        for number, (_, context, wanted) in enumerate(requests):
            places.setdefault(tuple(self._fitting(context, len(wanted))), []).append(number)
        prompts = [_plain(context) for context in places]
        wanted = [[requests[n][2] for n in numbers] for numbers in places.values()]
        return self._likely(prompts, wanted, list(places.values()), [request[0] for request in requests])

    def _likely(
        self,
        prompts: Sequence[Encoded],
        wanted: Sequence[Sequence[Sequence[int]]],
        places: Sequence[Sequence[int]],
        asked: Sequence[Any],
    ) -> list[tuple[float, bool]]:
        """Of each prompt's continuations, whose places among all requests `places` has; a cache knows a request by what
        `asked` has of it."""
        if not all(len(ids) for mine in wanted for ids in mine):
            raise BadInput("a task asks for the likelihood of no text at all; mend the task")
        found: list[tuple[float, bool]] = [(0.0, False)] * len(asked)
        scored = continuations(self.model.engine, prompts, wanted)
        for numbers, mine, likely in zip(places, wanted, scored, strict=True):
            for number, ids, one in zip(numbers, mine, likely, strict=True):
                greedy = bool((one.best == np.asarray(ids)).all())
                found[number] = float(one.logprobs.sum(dtype=np.float64)), greedy
                self.cache_hook.add_partial("loglikelihood", asked[number], found[number])
        return found

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Of whole texts, in windows of the context that share half of it; every token is predicted once."""
        found = []
        for request in requests:
            ids = self.tok_encode(request.args[0])
            total, done, step = 0.0, 1, max(1, self.context // 2)
            while done < len(ids):
                begin = 0 if done == 1 else max(0, done - step)
                end = min(len(ids), begin + self.context)
                loss = np.arange(begin, end) >= done
                (scores,) = self.model.engine.score([_document(ids[begin:end], loss)])
                total += float(scores.sum(dtype=np.float64))
                done = end
            found.append(total)
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return found

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """An answer to each, up to the first of its stop strings."""
        prompts, options = [], []
        for request in requests:
            context, wishes, *more = request.args
            wish = _options(dict(wishes))
            if more:
                prompts.append(self._turn(context, more[0]))
            else:
                prompts.append(_plain(self._fitting(self.tok_encode(context), wish.max_tokens or TOKENS)))
            options.append(wish)
        written = self.model.engine.generate(prompts, options)
        texts = [self._text(one, wish) for one, wish in zip(written, options, strict=True)]
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def _text(self, written: Generation, wish: Options) -> str:
        text = self.vocabulary.decode(written.tokens)
        ends = [at for stop in wish.stop if (at := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text

    def _fitting(self, context: Sequence[int], more: int) -> Sequence[int]:
        """A context with room for `more` tokens after it: its end, behind <bos>."""
        room = self.context - more
        if len(context) <= room:
            return context
        if room < 2:
            raise BadInput(f"a continuation takes {more:,} tokens, and the context holds {self.context:,}; shorten it")
        self.cut += 1
        return [BOS, *context[len(context) - room + 1 :]]


def _options(wishes: dict[str, Any]) -> Options:
    """lm-eval's wishes as ours."""
    until = wishes.get("until") or []
    stop = tuple(text for text in ([until] if isinstance(until, str) else until) if text)
    sampled = wishes.get("do_sample", False)
    return Options(
        max_tokens=int(
            wishes.get("max_gen_toks") or wishes.get("max_tokens") or wishes.get("max_new_tokens") or TOKENS
        ),
        temperature=float(wishes.get("temperature", 1.0)) if sampled else 0.0,
        top_p=float(wishes.get("top_p", 1.0)) if sampled else 1.0,
        top_k=int(wishes.get("top_k", 0)) if sampled else 0,
        seed=int(wishes.get("seed", 0)),
        stop=stop,
        pictures=False,
    )


def _turns(context: str, given: dict[str, Any]) -> list[Turn]:
    """The turns of a rendered dialogue, or a context as one turn of the user, with their media. Those that have no
    placeholder stand at the beginning of the first turn that is the user's."""
    rendered = [piece.partition("\n")[::2] for piece in context.split(BEGIN)[1:]]
    said = [(role, text.partition(END)[0]) for role, text in rendered if (role, text) != ("model", "")]
    said = said or [("user", context)]
    found = media_of(given)
    places = [len(_PLACEHOLDER.findall(text)) for _, text in said]
    places[[role for role, _ in said].index("user")] += max(0, len(found) - sum(places))
    ends = [sum(places[: n + 1]) for n in range(len(places))]
    return [
        Turn(role, _parts(text, found[end - count : end]))
        for (role, text), count, end in zip(said, places, ends, strict=True)
    ]


def _parts(context: str, found: Sequence[Image | Audio]) -> tuple[Part, ...]:
    """A context with its media at their placeholders; those that have none come first."""
    texts = _PLACEHOLDER.split(context)
    unplaced = max(0, len(found) - (len(texts) - 1))
    parts: list[Part] = list(found[:unplaced])
    rest = iter(found[unplaced:])
    for number, text in enumerate(texts):
        if number and (medium := next(rest, None)) is not None:
            parts.append(medium)
        if text:
            parts.append(Text(text))
    return tuple(parts)


def media_of(given: dict[str, Any]) -> list[Image | Audio]:
    """The pictures and the sounds that lm-eval hands over with a request."""
    return [*map(_image, _listed(given.get("visual"))), *map(_sound, _listed(given.get("audio")))]


def _given(given: dict[str, Any]) -> list[Any]:
    return [*_listed(given.get("visual")), *_listed(given.get("audio"))]


def _listed(media: Any) -> list[Any]:
    return [] if media is None else list(media) if isinstance(media, list | tuple) else [media]


def _image(given: Any) -> Image:
    """A Pillow image, the bytes or path of one (as `datasets` has them), or ours."""
    if isinstance(given, Image):
        return given
    if isinstance(given, dict):
        given = given.get("bytes") or given.get("path")
    if isinstance(given, bytes | str | Path):
        return media.read_image(given)
    if hasattr(given, "convert"):
        return Image(np.array(given.convert("RGB")))
    raise BadInput(f"a task gives a picture of type {type(given).__name__}; give a Pillow image or the bytes of a file")


def _sound(given: Any) -> Audio:
    """A sound as `datasets` has it, decoded or the bytes of a file, or ours."""
    if isinstance(given, Audio):
        return given
    if hasattr(given, "get_all_samples"):  # torchcodec's, as `datasets` has them from version 4 on
        decoded = given.get_all_samples()
        given = {"array": np.asarray(decoded.data).mean(axis=0), "sampling_rate": decoded.sample_rate}
    if isinstance(given, dict) and given.get("array") is not None:
        samples, rate = np.asarray(given["array"], np.float32), int(given["sampling_rate"])
        if rate != RATE:  # the resampler of the edge
            from tejat.parts import to_wav

            return media.read_audio(to_wav(Audio(np.clip(samples, -1, 1), rate)))
        return Audio(np.clip(samples, -1, 1))
    if isinstance(given, dict):
        given = given.get("bytes")
    if isinstance(given, bytes):
        return media.read_audio(given)
    raise BadInput(
        f"a task gives a sound of type {type(given).__name__}; give samples with their rate, or a file's bytes"
    )


def _plain(ids: Sequence[int]) -> Encoded:
    return _document(ids, np.zeros(len(ids), bool))


def _document(ids: Sequence[int], loss: np.ndarray) -> Encoded:
    """Ids as a document without media, of which those with `loss` are to be predicted."""
    n = len(ids)
    zeros = np.zeros(n, np.int32)
    kinds = np.full(n, Modality.TEXT, np.int8)
    return Encoded(np.asarray(ids, np.int32), loss, kinds, zeros, np.full(n, -1, np.int32), zeros, ())
