"""The examples of openai's documentation, against the server whose address is given; only `base_url` differs.

python openai_client.py http://127.0.0.1:8080 MEDIA_DIRECTORY
"""

import base64
import contextlib
import pathlib
import sys
import time

import openai
from openai import OpenAI
from pydantic import BaseModel

BASE, MEDIA = sys.argv[1], pathlib.Path(sys.argv[2])
client = OpenAI(api_key="any", base_url=f"{BASE}/v1", max_retries=0)


def inline(name: str) -> str:
    return base64.b64encode((MEDIA / name).read_bytes()).decode()


def text() -> None:
    completion = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "developer", "content": "Talk like a pirate."},
            {"role": "user", "content": "How do I check if a Python object is an instance of a class?"},
        ],
        n=2,
        logprobs=True,
        top_logprobs=2,
        max_completion_tokens=20,
    )
    assert len(completion.choices) == 2 and completion.choices[0].message.content
    assert len(completion.choices[0].logprobs.content[0].top_logprobs) == 2
    assert 2 <= completion.usage.completion_tokens <= 40
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Say this is a test"}],
        stream=True,
        stream_options={"include_usage": True},
        seed=1,
        stop=["never"],
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert chunks[-1].usage.total_tokens > 0 and chunks[-2].choices[0].finish_reason in ("stop", "length")
    honest = contextlib.suppress(openai.LengthFinishReasonError)  # what the SDK makes of a true "length"
    messages = [{"role": "user", "content": "Hi"}]
    with client.chat.completions.stream(model="gpt-4o", messages=messages) as events, honest:
        assert [event.type for event in events]


def media() -> None:
    content = [
        {"type": "text", "text": "What's in this image?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{inline('cat.png')}"}},
        {"type": "input_audio", "input_audio": {"data": inline("word.wav"), "format": "wav"}},
    ]
    messages = [{"role": "user", "content": content}]
    completion = client.chat.completions.create(model="gpt-4o", messages=messages, max_tokens=20)
    assert completion.choices[0].message.content and completion.usage.prompt_tokens_details.audio_tokens > 10


class Day(BaseModel):
    weekend: bool
    number: int


def json() -> None:
    messages = [{"role": "user", "content": "Alice and Bob are going to a science fair on Friday."}]
    try:
        completion = client.chat.completions.parse(model="gpt-4o", messages=messages, response_format=Day, seed=2)
        assert isinstance(completion.choices[0].message.parsed, Day)
    except openai.LengthFinishReasonError:
        pass
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    completion = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[tool], max_tokens=5)
    assert completion.choices[0].message.tool_calls is None


def pictures() -> None:
    made = client.images.generate(model="gpt-image-1", prompt="A cute baby sea otter", n=2, size="1024x1024")
    assert all(base64.b64decode(image.b64_json).startswith(b"\x89PNG") for image in made.data) and len(made.data) == 2


def sound() -> None:
    with (MEDIA / "word.wav").open("rb") as file:
        assert isinstance(client.audio.transcriptions.create(model="whisper-1", file=file).text, str)
    with (MEDIA / "word.wav").open("rb") as file:
        told = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json")
        assert told.duration == 1.0
    with (MEDIA / "word.wav").open("rb") as file:
        assert isinstance(client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text"), str)


def vectors() -> None:
    found = client.embeddings.create(model="text-embedding-3-small", input=["One", "Two"], dimensions=8)
    assert [len(one.embedding) for one in found.data] == [8, 8]
    assert abs(sum(x * x for x in found.data[0].embedding) - 1) < 1e-5


def completions() -> None:
    wanted = {"prompt": "Say this is a test", "max_tokens": 7, "echo": True}
    made = client.completions.create(model="gpt-3.5-turbo-instruct", **wanted)
    assert made.choices[0].text.startswith("Say this is a test")
    assert list(client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say", max_tokens=7, stream=True))


def models() -> None:
    names = [model.id for model in client.models.list()]
    assert names and client.models.retrieve(names[0]).object == "model"


def problems() -> None:
    chat = client.chat.completions.create
    messages = [{"role": "user", "content": "Hi"}]
    for kind, wanted in (
        (openai.NotFoundError, {"model": "nothing", "messages": messages}),
        (openai.BadRequestError, {"model": "gpt-4o", "messages": messages, "temperature": -1}),
        (openai.BadRequestError, {"model": "gpt-4o", "messages": []}),
    ):
        try:
            chat(**wanted)
        except kind as error:
            assert error.body["message"]
        else:
            raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    print(f"openai {openai.__version__}")
    for example in (text, media, json, pictures, sound, vectors, completions, models, problems):
        began = time.monotonic()
        example()
        print(f"  {example.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    print("all examples ran")
