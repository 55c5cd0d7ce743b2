"""The Gemini dialect: requests to canonical ones, answers to its JSON.

Names arrive in camelCase and snake_case mixed, and leave in camelCase alone: the SDK drops others in silence.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tejat
from tejat.codecs.framing import Modality
from tejat.parts import Image, Part, Text, to_png
from tejat.serve import drawing
from tejat.serve.answers import Chosen, Step, Usage
from tejat.serve.casing import normalise
from tejat.serve.decoder import Clip, Medium
from tejat.serve.fields import Fields, invalid
from tejat.serve.files import File, timestamp
from tejat.serve.hosting import Hosted
from tejat.serve.inline import kind_of, unbase64
from tejat.serve.limits import Limits
from tejat.serve.requests import TEMPERATURE, TOP_P, Content, Request, Said, Wanted
from tejat.serve.schema import choice_regex, compact, json_schema

FileOf = Callable[[str], tuple[File, Path]]
"""The file of a name, and where its bytes are. Raises Problem NOT_FOUND."""

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "cancelled": "OTHER", "grammar": "OTHER"}
_OUR_FILE = re.compile(r"(?:https?://[^/?#]{1,255}/(?:v1|v1beta)/)?(files/[a-z0-9-]{1,40})")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_RESOLUTIONS = {
    "MEDIA_RESOLUTION_UNSPECIFIED": None,
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_MEDIUM": "medium",
    "MEDIA_RESOLUTION_HIGH": "high",
}
_SHOWN = {"TEXT": "TEXT", "IMAGE": "IMAGE", "AUDIO": "AUDIO", "VIDEO": "VIDEO", "PICTURE": "IMAGE"}


@dataclass(frozen=True)
class Reader:
    """Reads bodies of one caller."""

    file_of: FileOf
    limits: Limits

    def generate(self, body: Any) -> Request:
        """A request of generateContent or streamGenerateContent. Raises Problem INVALID_ARGUMENT."""
        fields = Fields(normalise(body))
        request = self._request(fields)
        fields.done()
        return request

    def count(self, body: Any) -> Request:
        """A request of countTokens: contents alone, or a whole request of generateContent."""
        fields = Fields(normalise(body))
        if (whole := fields.object("generateContentRequest")) is not None:
            whole.ignore("model")
            request = self._request(whole)
            whole.done()
        else:
            request = self._request(fields)
        fields.done()
        return request

    def embed(self, body: Any) -> list[tuple[Said, int | None]]:
        """(content, dimensions) of each vector that embedContent or batchEmbedContents asks for."""
        fields = Fields(normalise(body))
        each = [*fields.objects("requests")] if "requests" in fields else [fields]
        if len(each) > self.limits.batch:
            raise invalid(
                f"requests has {len(each)} entries, and {self.limits.batch} are the limit; send fewer at once"
            )
        wanted = []
        for one in each:
            one.ignore("model", "taskType", "title", "autoTruncate", "mimeType", "embedContentConfig")
            content = Fields(one.need("content"), one.at("content"))
            dimensions = one.whole("outputDimensionality")
            if dimensions is not None and dimensions < 1:
                raise invalid(f"{one.at('outputDimensionality')} is {dimensions}; give 1 or more")
            wanted.append((self._said(content, "user"), dimensions))
            one.done()
        fields.done()
        return wanted

    def _request(self, fields: Fields) -> Request:
        fields.ignore("model", "labels", "serviceTier", "store")
        if "cachedContent" in fields:
            raise invalid("cachedContent names no cache here; send the contents themselves: repeated ones are reused")
        self._check_tools(fields)
        for setting in fields.objects("safetySettings"):
            setting.ignore("category", "threshold", "method")
            setting.done()
        contents = fields.any("contents", [])
        if isinstance(contents, dict):
            contents = [contents]
        if not isinstance(contents, list) or not contents:
            raise invalid("contents is missing or empty; give at least one content with parts")
        turns = []
        for number, content in enumerate(contents):
            turns.append(self._said(Fields(content, f"contents[{number}]"), None))
        system = fields.any("systemInstruction")
        if isinstance(system, str):
            turns.insert(0, Said("system", (Text(system),)))
        elif system is not None:
            turns.insert(0, self._said(Fields(system, "systemInstruction"), "system"))
        config = fields.object("generationConfig") or Fields({}, "generationConfig")
        return Request(tuple(turns), self._wanted(config))

    def _said(self, content: Fields, role: Any) -> Said:
        given = content.text("role") or "user"
        if role is None:
            if given not in ("user", "model", "function", "tool"):
                raise invalid(f"{content.at('role')} is {given[:40]!r}; give user or model")
            role = "model" if given == "model" else "user"
        parts = content.any("parts", [])
        if isinstance(parts, dict):
            parts = [parts]
        if not isinstance(parts, list):
            raise invalid(f"{content.at('parts')} is no list; give a list of parts")
        contents = [self._part(Fields(part, f"{content.at('parts')}[{n}]")) for n, part in enumerate(parts)]
        content.done()
        return Said(role, tuple(c for c in contents if c is not None))

    def _part(self, part: Fields) -> Content | None:
        """None for a thought: it was the model's own, and is not said again."""
        part.ignore("thoughtSignature", "partMetadata", "mediaResolution")
        thought, clip = part.flag("thought"), self._clip(part.object("videoMetadata"))
        given = [n for n in ("text", "inlineData", "fileData", "functionCall", "functionResponse") if n in part]
        if len(given) != 1:
            told = f"holds {' and '.join(given)}" if given else "holds nothing that is known here"
            raise invalid(f"{part.where} {told}; give one of text, inlineData and fileData")
        content: Content
        match given[0]:
            case "text":
                content = Text(part.text("text"))
            case "inlineData":
                blob = Fields(part.need("inlineData"), part.at("inlineData"))
                blob.ignore("displayName")
                kind = kind_of(blob.text("mimeType", ""), blob.at("mimeType"))
                if not isinstance(data := blob.need("data"), str):
                    raise invalid(f"{blob.at('data')} is no string; give base64")
                content = Medium(unbase64(data, blob.at("data")), kind, blob.where, clip)
                blob.done()
            case "fileData":
                content = self._file(Fields(part.need("fileData"), part.at("fileData")), clip)
            case name:
                # A model that was not taught functions reads them as it reads all else.
                call = part.any(name)
                content = Text(json.dumps(call, ensure_ascii=False))
        part.done()
        return None if thought else content

    def _file(self, data: Fields, clip: Clip) -> Medium:
        data.ignore("displayName", "mimeType")
        uri = data.text("fileUri", "")
        if (found := _OUR_FILE.fullmatch(uri)) is None:
            raise invalid(
                f"{data.at('fileUri')} is no file of this server, which fetches nothing from elsewhere; upload it first"
            )
        file, path = self.file_of(found[1])
        data.done()
        return Medium(path, kind_of(file.mime, file.name), file.name, clip)

    def _clip(self, metadata: Fields | None) -> Clip:
        if metadata is None:
            return Clip()
        fps = metadata.number("fps")
        if fps is not None and not 0 < fps <= 24:
            raise invalid(f"{metadata.at('fps')} is {fps}; give a number above 0, up to 24")
        start, end = (_seconds(metadata, name) for name in ("startOffset", "endOffset"))
        metadata.done()
        if end is not None and end <= (start or 0.0):
            raise invalid(f"{metadata.at('endOffset')} is not after the start; give a later one")
        return Clip(fps=fps, start=start or 0.0, end=end)

    def _check_tools(self, fields: Fields) -> None:
        """Functions may be declared; the model calls none of itself. What it cannot have is refused."""
        for tool in fields.objects("tools"):
            for function in tool.objects("functionDeclarations"):
                if not isinstance(function.need("name"), str):
                    raise invalid(f"{function.at('name')} is no string; name the function")
            if others := sorted(name for name in tool.value if name != "functionDeclarations"):
                raise invalid(f"{tool.at(others[0][:40])} is no tool of this server; remove it")
        if (config := fields.object("toolConfig")) is not None:
            calling = config.object("functionCallingConfig")
            if calling is not None and calling.text("mode", "AUTO") == "ANY":
                raise invalid(f"{calling.at('mode')} is ANY, and no model here calls functions; use AUTO or NONE")

    def _wanted(self, config: Fields) -> Wanted:
        config.ignore("thinkingConfig", "audioTimestamp", "enableEnhancedCivicAnswers")
        if "speechConfig" in config:
            raise invalid("generationConfig.speechConfig asks for speech, and no model here speaks; remove it")
        candidates = config.whole("candidateCount", 1)
        if not 1 <= candidates <= self.limits.candidates:
            raise invalid(f"{config.at('candidateCount')} is {candidates}; give 1 to {self.limits.candidates}")
        schema, regex = self._form(config)
        pictures = _pictures(config)
        if pictures != "never" and (schema or regex):
            raise invalid("generationConfig asks for pictures and for a schema; ask for one of them")
        wanted = Wanted(
            candidates=candidates,
            max_tokens=config.whole("maxOutputTokens"),
            temperature=config.number("temperature"),
            top_p=config.number("topP"),
            top_k=config.whole("topK"),
            seed=config.whole("seed"),
            stop=_stops(config, "stopSequences"),
            presence_penalty=config.number("presencePenalty", 0.0),
            frequency_penalty=config.number("frequencyPenalty", 0.0),
            logprobs=config.flag("responseLogprobs", False),
            alternatives=config.whole("logprobs", 0),
            json_schema=schema,
            regex=regex,
            pictures=pictures,
            picture=drawing.of_config(config.object("imageConfig"), self.limits, candidates, pictures),
            resolution=_resolution(config),
        )
        config.done()
        return wanted

    def _form(self, config: Fields) -> tuple[str | None, str | None]:
        """(JSON schema, regular expression) that the answer follows, of which one at most is there."""
        mime = config.text("responseMimeType", "text/plain")
        schema = None
        if (given := config.object("responseSchema")) is not None:
            schema = json_schema(given)
        for name in ("responseJsonSchema", "_responseJsonSchema"):
            if (given := config.any(name)) is not None:
                if schema is not None:
                    raise invalid("generationConfig has two schemas; give one")
                schema = given
        if mime == "text/x.enum":
            values = schema.get("enum") if isinstance(schema, dict) else None
            return None, choice_regex(values or [], "generationConfig.responseSchema.enum", self.limits.schema)
        if mime not in ("text/plain", "application/json"):
            raise invalid(f"{config.at('responseMimeType')} is {mime[:60]!r}; give text/plain or application/json")
        if schema is None:
            return ('{"type":"object"}' if mime == "application/json" else None), None
        if mime != "application/json":
            raise invalid("generationConfig has a schema; set responseMimeType to application/json")
        return compact(schema, "generationConfig.responseSchema", self.limits.schema), None


def _pictures(config: Fields) -> Any:
    kinds = set()
    for number, kind in enumerate(config.texts("responseModalities")):
        if kind.upper() not in ("TEXT", "IMAGE", "MODALITY_UNSPECIFIED"):
            raise invalid(f"{config.at('responseModalities')}[{number}] is {kind[:40]!r}; give TEXT, IMAGE or both")
        kinds.add(kind.upper())
    if "IMAGE" not in kinds:
        return "never"
    return "may" if "TEXT" in kinds else "must"


def _resolution(config: Fields) -> Any:
    given = config.one_of("mediaResolution", tuple(_RESOLUTIONS), "MEDIA_RESOLUTION_UNSPECIFIED")
    return _RESOLUTIONS[given]


def _stops(fields: Fields, name: str) -> tuple[str, ...]:
    stops = fields.texts(name)
    if len(stops) > 16 or any(not 0 < len(stop) <= 512 for stop in stops):
        raise invalid(f"{fields.at(name)} must be up to 16 strings of 1 to 512 characters")
    return tuple(stops)


def _seconds(fields: Fields, name: str) -> float | None:
    text = fields.text(name)
    if text is None:
        return None
    if (found := _DURATION.fullmatch(text)) is None:
        raise invalid(f"{fields.at(name)} is {text[:20]!r}; give seconds, as in 1.5s")
    return float(found[1])


# Answers


def piece(step: Step, wanted: Wanted, hosted: Hosted, usage: Usage, id: str) -> dict[str, Any]:
    """One event of a stream: a GenerateContentResponse with what is new of one candidate."""
    candidate: dict[str, Any] = {
        "content": {"parts": [part_json(part) for part in step.parts], "role": "model"},
        "index": step.candidate,
    }
    if step.finish is not None:
        candidate["finishReason"] = _FINISH[step.finish]
    if wanted.logprobs and step.chosen:
        candidate["logprobsResult"] = _logprobs(step.chosen, wanted.alternatives)
    return _response([candidate], hosted, usage, id)


def whole(steps: Sequence[Step], wanted: Wanted, hosted: Hosted, usage: Usage, id: str) -> dict[str, Any]:
    """The GenerateContentResponse of candidates that are done, one step each."""
    candidates = []
    for step in steps:
        candidate = piece(step, wanted, hosted, usage, id)["candidates"][0]
        if wanted.logprobs and step.chosen:
            candidate["avgLogprobs"] = sum(c.logprob for c in step.chosen) / len(step.chosen)
        candidates.append(candidate)
    return _response(candidates, hosted, usage, id)


def counted(prompt: dict[str, int]) -> dict[str, Any]:
    """The answer of countTokens."""
    return {"totalTokens": sum(prompt.values()), "promptTokensDetails": _details(prompt)}


def part_json(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image):
        return {"inlineData": {"mimeType": "image/png", "data": b64encode(to_png(part)).decode()}}
    raise TypeError(f"a model writes text and pictures, not {type(part).__name__}")


def file_json(file: File, base: str) -> dict[str, Any]:
    return {
        "name": file.name,
        "displayName": file.display_name,
        "mimeType": file.mime,
        "sizeBytes": str(file.size),
        "createTime": timestamp(file.created),
        "updateTime": timestamp(file.created),
        "expirationTime": timestamp(file.expires),
        "sha256Hash": file.sha256,
        "uri": f"{base}/v1beta/{file.name}",
        "state": "ACTIVE",
        "source": "UPLOADED",
    }


def model_json(hosted: Hosted) -> dict[str, Any]:
    config = hosted.bundle.config
    kinds = ["text", *(name for name in ("vision", "audio") if getattr(config, name) is not None)]
    drawn = " and pictures" if config.picture is not None else ""
    return {
        "name": f"models/{hosted.name}",
        "version": tejat.__version__,
        "displayName": hosted.name,
        "description": f"Reads {', '.join(kinds)}; writes text{drawn}.",
        "inputTokenLimit": hosted.service.context,
        "outputTokenLimit": hosted.service.context,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        "temperature": TEMPERATURE,
        "maxTemperature": 100,
        "topP": TOP_P,
    }


def _response(candidates: list[dict], hosted: Hosted, usage: Usage, id: str) -> dict[str, Any]:
    written = usage.written
    metadata = {
        "promptTokenCount": sum(usage.prompt.values()),
        "candidatesTokenCount": sum(written.values()),
        "totalTokenCount": sum(usage.prompt.values()) + sum(written.values()),
        "promptTokensDetails": _details(usage.prompt),
        "candidatesTokensDetails": _details(written),
    }
    if usage.cached:
        metadata["cachedContentTokenCount"] = usage.cached
    return {"candidates": candidates, "usageMetadata": metadata, "modelVersion": hosted.name, "responseId": id}


def _details(counts: dict[str, int]) -> list[dict[str, Any]]:
    shown: dict[str, int] = {}
    for kind in Modality:
        if count := counts.get(kind.name, 0):
            shown[_SHOWN[kind.name]] = shown.get(_SHOWN[kind.name], 0) + count
    return [{"modality": name, "tokenCount": count} for name, count in shown.items()]


def _logprobs(chosen: Sequence[Chosen], alternatives: int) -> dict[str, Any]:
    def one(token: str, id: int, logprob: float) -> dict[str, Any]:
        return {"token": token, "tokenId": id, "logProbability": logprob}

    result: dict[str, Any] = {"chosenCandidates": [one(c.text, c.id, c.logprob) for c in chosen]}
    if alternatives:
        result["topCandidates"] = [{"candidates": [one(*a) for a in c.alternatives]} for c in chosen]
    return result
