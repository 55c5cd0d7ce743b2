"""The OpenAI dialect: requests to canonical ones, answers to its JSON."""

import json
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tejat.codecs.framing import Modality
from tejat.parts import Image, Part, Text
from tejat.serve import drawing
from tejat.serve.answers import Chosen, Step, Usage
from tejat.serve.casing import normalise
from tejat.serve.decoder import Medium
from tejat.serve.fields import Fields, invalid
from tejat.serve.hosting import Hosted
from tejat.serve.inline import data_uri, unbase64
from tejat.serve.limits import Limits
from tejat.serve.picture_file import PictureFile
from tejat.serve.requests import Content, Request, Said, Wanted
from tejat.serve.schema import compact

IGNORED = (
    *("user", "metadata", "store", "service_tier", "parallel_tool_calls", "reasoning_effort", "verbosity"),
    *("prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "web_search_options"),
)
_FINISH = {"stop": "stop", "length": "length", "cancelled": "stop", "grammar": "stop"}
_BEGAN = int(time.time())


@dataclass(frozen=True)
class Completion:
    """A request of /v1/completions: text or ids to be continued."""

    prompts: tuple[str | tuple[int, ...], ...]
    wanted: Wanted
    echo: bool
    nothing_new: bool  # max_tokens 0: the prompt alone, to be scored
    stream: bool
    usage: bool


@dataclass(frozen=True)
class Chat:
    """A request of /v1/chat/completions."""

    model: str
    request: Request
    stream: bool
    usage: bool  # at the end of a stream


def chat(fields: Fields, limits: Limits) -> Chat:
    """Raises Problem INVALID_ARGUMENT."""
    fields.ignore(*IGNORED)
    turns = [_said(message) for message in fields.objects("messages")]
    if not turns:
        raise invalid("messages is missing or empty; give at least one message")
    _check_tools(fields)
    kinds = [kind.lower() for kind in fields.texts("modalities")]
    if unknown := [kind for kind in kinds if kind not in ("text", "image")]:
        raise invalid(f"modalities has {unknown[0][:40]!r}; give text, image or both")
    if "audio" in fields:
        raise invalid("audio asks for speech, and no model here speaks; remove it")
    pictures: Any = "never" if "image" not in kinds else "may" if "text" in kinds else "must"
    schema = _schema(fields, limits)
    if pictures != "never" and schema:
        raise invalid("modalities asks for pictures and response_format for JSON; ask for one of them")
    most = fields.whole("max_completion_tokens")
    wanted = _wanted(
        fields,
        limits,
        most=fields.whole("max_tokens") if most is None else most,
        logprobs=fields.flag("logprobs", False),
        alternatives=fields.whole("top_logprobs", 0),
        schema=schema,
        pictures=pictures,
    )
    stream, usage = _streaming(fields)
    if stream:
        drawing.check_stream(wanted.picture, "image_config.best_of")
    made = Chat(fields.text("model", ""), Request(tuple(turns), wanted), stream, usage)
    fields.done()
    return made


def completion(fields: Fields, limits: Limits) -> Completion:
    """Raises Problem INVALID_ARGUMENT."""
    fields.ignore("model", *IGNORED)
    if fields.text("suffix"):
        raise invalid("suffix asks for text between two others, which no model here was taught; remove it")
    if fields.whole("best_of", 1) != fields.whole("n", 1):
        raise invalid("best_of differs from n; leave it out")
    prompts = strings_or_ids(fields, "prompt", limits.batch)
    most, alternatives = fields.whole("max_tokens", 16), fields.whole("logprobs")
    wanted = _wanted(
        fields,
        limits,
        most=most or None,
        logprobs=alternatives is not None,
        alternatives=max(1, alternatives or 0) if alternatives is not None else 0,
        schema=None,
        pictures="never",
    )
    stream, usage = _streaming(fields)
    made = Completion(prompts, wanted, fields.flag("echo", False), most == 0, stream, usage)
    if made.stream and (made.echo or len(prompts) > 1):
        raise invalid("stream goes with one prompt, and without echo; ask for the whole answer at once")
    fields.done()
    return made


def strings_or_ids(fields: Fields, name: str, most: int) -> tuple[str | tuple[int, ...], ...]:
    """A string, strings, ids, or lists of ids: what several routes take."""
    value = fields.need(name)
    if isinstance(value, str) or (isinstance(value, list) and value and all(_is_id(item) for item in value)):
        value = [value]
    if not isinstance(value, list) or not value:
        raise invalid(f"{name} is empty; give text or tokens")
    if len(value) > most:
        raise invalid(f"{name} has {len(value):,} entries, and {most} are the limit; send fewer at once")
    found: list[str | tuple[int, ...]] = []
    for number, one in enumerate(value):
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list) and one and all(_is_id(item) for item in one):
            found.append(tuple(one))
        else:
            raise invalid(f"{name}[{number}] is neither text nor a list of tokens; give one of them")
    return tuple(found)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _wanted(
    fields: Fields, limits: Limits, *, most: int | None, logprobs: bool, alternatives: int, schema: Any, pictures: Any
) -> Wanted:
    candidates = fields.whole("n", 1)
    if not 1 <= candidates <= limits.candidates:
        raise invalid(f"n is {candidates}; give 1 to {limits.candidates}")
    if fields.any("logit_bias"):
        raise invalid("logit_bias is not to be had here; remove it")
    stop = fields.any("stop", [])
    stops = [stop] if isinstance(stop, str) else fields.texts("stop")
    if len(stops) > 16 or any(not 0 < len(text) <= 512 for text in stops):
        raise invalid("stop must be up to 16 strings of 1 to 512 characters")
    seed = fields.whole("seed")
    # As OpenRouter has it, as whose pictures come; /v1/completions draws none, and refuses it.
    config = fields.object("image_config") if pictures != "never" else None
    of_pictures = None if config is None else Fields(normalise(config.value), config.where)
    return Wanted(
        candidates=candidates,
        max_tokens=most,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        seed=seed,
        stop=tuple(stops),
        presence_penalty=fields.number("presence_penalty", 0.0),
        frequency_penalty=fields.number("frequency_penalty", 0.0),
        logprobs=logprobs,
        alternatives=alternatives,
        json_schema=schema,
        pictures=pictures,
        picture=drawing.of_config(of_pictures, limits, candidates, pictures),
    )


def _streaming(fields: Fields) -> tuple[bool, bool]:
    options = fields.object("stream_options")
    usage = options.flag("include_usage", False) if options is not None else False
    if options is not None:
        options.ignore("include_obfuscation")
        options.done()
    return fields.flag("stream", False), usage


def _schema(fields: Fields, limits: Limits) -> str | None:
    form = fields.object("response_format")
    if form is None:
        return None
    kind, schema = form.one_of("type", ("text", "json_object", "json_schema"), "text"), None
    if kind == "json_object":
        schema = '{"type":"object"}'
    if kind == "json_schema":
        named = Fields(form.need("json_schema"), form.at("json_schema"))
        named.ignore("name", "description", "strict")
        schema = compact(named.any("schema", {"type": "object"}), named.at("schema"), limits.schema)
        named.done()
    form.done()
    return schema


def _check_tools(fields: Fields) -> None:
    """Functions may be declared; the model calls none of itself."""
    for name in ("tools", "functions"):
        for tool in fields.objects(name):
            if name == "tools" and tool.text("type", "function") != "function":
                raise invalid(f"{tool.at('type')} is no tool of this server; remove it")
    for name in ("tool_choice", "function_call"):
        if fields.any(name, "auto") not in ("auto", "none"):
            raise invalid(f"{name} forces a call, and no model here calls functions; use auto or none")


def _said(message: Fields) -> Said:
    role = message.one_of("role", ("system", "developer", "user", "assistant", "tool", "function"))
    if role is None:
        raise invalid(f"{message.at('role')} is missing; give user, assistant or system")
    message.ignore("name", "refusal", "annotations", "audio", "tool_call_id", "reasoning_content", "images")
    contents: list[Content] = []
    content = message.any("content")
    if isinstance(content, str):
        contents.append(Text(content))
    elif isinstance(content, list):
        contents += [_content(part) for part in message.objects("content")]
    elif content is not None:
        raise invalid(f"{message.at('content')} is neither text nor a list of parts; give one of them")
    for name in ("tool_calls", "function_call"):
        if (calls := message.any(name)) is not None:
            contents.append(Text(json.dumps(calls, ensure_ascii=False)))
    message.done()
    canonical: Any = {"system": "system", "developer": "system", "assistant": "model"}.get(role, "user")
    return Said(canonical, tuple(contents))


def _content(part: Fields) -> Content:
    content: Content
    match kind := part.text("type", "text"):
        case "text" | "refusal":
            if not isinstance(text := part.need(kind), str):
                raise invalid(f"{part.at(kind)} is no string; give text")
            content = Text(text)
        case "image_url":
            url = part.need("image_url")
            image = Fields({"url": url} if isinstance(url, str) else url, part.at("image_url"))
            image.ignore("detail")
            data, _ = data_uri(image.text("url", ""), image.at("url"))
            content = Medium(data, "image", image.where)
            image.done()
        case "input_audio":
            sound = Fields(part.need("input_audio"), part.at("input_audio"))
            sound.ignore("format")
            content = Medium(unbase64(sound.text("data", ""), sound.at("data")), "audio", sound.where)
            sound.done()
        case "video_url":
            url = part.need("video_url")
            video = Fields({"url": url} if isinstance(url, str) else url, part.at("video_url"))
            data, _ = data_uri(video.text("url", ""), video.at("url"))
            content = Medium(data, "video", video.where)
            video.done()
        case _:
            raise invalid(f"{part.at('type')} is {kind[:40]!r}; give text, image_url, input_audio or video_url")
    part.done()
    return content


# Answers


def chat_whole(steps: Sequence[Step], wanted: Wanted, hosted: Hosted, usage: Usage, id: str) -> dict[str, Any]:
    choices = []
    for step in steps:
        text, images = _split(step.parts)
        message: dict[str, Any] = {"role": "assistant", "content": text or None if images else text, "refusal": None}
        if images:
            message["images"] = images
        choices.append(
            {
                "index": step.candidate,
                "message": message,
                "logprobs": chat_logprobs(step.chosen) if wanted.logprobs else None,
                "finish_reason": _FINISH[step.finish or "stop"],
            }
        )
    return {**_head("chat.completion", "chatcmpl", hosted, id), "choices": choices, "usage": usage_json(usage)}


def chat_piece(step: Step, wanted: Wanted, hosted: Hosted, id: str, first: bool) -> dict[str, Any]:
    text, images = _split(step.parts)
    delta: dict[str, Any] = {"role": "assistant"} if first else {}
    if text or first:
        delta["content"] = text
    if images:
        delta["images"] = images
    choice = {
        "index": step.candidate,
        "delta": delta,
        "logprobs": chat_logprobs(step.chosen) if wanted.logprobs and step.chosen else None,
        "finish_reason": None if step.finish is None else _FINISH[step.finish],
    }
    return {**_head("chat.completion.chunk", "chatcmpl", hosted, id), "choices": [choice]}


def chat_end(hosted: Hosted, usage: Usage, id: str) -> dict[str, Any]:
    """The last event of a stream whose client wants to know what it took."""
    return {**_head("chat.completion.chunk", "chatcmpl", hosted, id), "choices": [], "usage": usage_json(usage)}


def completion_head(hosted: Hosted, id: str) -> dict[str, Any]:
    return _head("text_completion", "cmpl", hosted, id)


def completion_choice(index: int, text: str, logprobs: Any, finish: str | None) -> dict[str, Any]:
    reason = None if finish is None else _FINISH[finish]
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def completion_logprobs(chosen: Sequence[Chosen], alternatives: int) -> dict[str, Any]:
    """Lists side by side; null where there is no log-probability, since nothing comes before the token."""
    at, offsets = 0, []
    for one in chosen:
        offsets.append(at)
        at += len(one.text)
    return {
        "tokens": [c.text for c in chosen],
        "token_logprobs": [None if np.isnan(c.logprob) else c.logprob for c in chosen],
        "top_logprobs": [
            None if np.isnan(c.logprob) else {text: logprob for text, _, logprob in c.alternatives[:alternatives]}
            for c in chosen
        ],
        "text_offset": offsets,
    }


def chat_logprobs(chosen: Sequence[Chosen]) -> dict[str, Any]:
    def one(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    content = [
        {
            **one(c.text, c.logprob),
            "bytes": list(c.bytes),
            "top_logprobs": [one(text, logprob) for text, _, logprob in c.alternatives],
        }
        for c in chosen
    ]
    return {"content": content, "refusal": None}


def usage_json(usage: Usage) -> dict[str, Any]:
    prompt, written = sum(usage.prompt.values()), sum(usage.written.values())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "audio_tokens": usage.prompt.get(Modality.AUDIO.name, 0),
            "image_tokens": usage.prompt.get(Modality.IMAGE.name, 0),
        },
    }


def embedding_json(vector: Sequence[float], index: int, packed: bool) -> dict[str, Any]:
    shown: Any = b64encode(np.asarray(vector, "<f4").tobytes()).decode() if packed else list(vector)
    return {"object": "embedding", "index": index, "embedding": shown}


def model_json(hosted: Hosted) -> dict[str, Any]:
    return {"id": hosted.name, "object": "model", "created": _BEGAN, "owned_by": "tejat"}


def _split(parts: Sequence[Part]) -> tuple[str, list[dict[str, Any]]]:
    """The text, and the pictures as the interface of chat has no place of its own for: OpenRouter's."""
    text = "".join(part.text for part in parts if isinstance(part, Text))
    images = [part for part in parts if isinstance(part, Image)]
    return text, [{"type": "image_url", "image_url": {"url": PictureFile().uri(image)}} for image in images]


def _head(kind: str, prefix: str, hosted: Hosted, id: str) -> dict[str, Any]:
    return {"id": f"{prefix}-{id}", "object": kind, "created": int(time.time()), "model": hosted.name}
