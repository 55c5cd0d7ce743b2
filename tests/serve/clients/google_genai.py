"""The examples of google-genai's documentation, against the server whose address is given; media lie beside it.

    python google_genai.py http://127.0.0.1:8080 MEDIA_DIRECTORY

Nothing but `base_url` differs from what the documentation says. Of the answers, what does not depend on what the model
knows is asserted.
"""

import asyncio
import enum
import pathlib
import sys
import time

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

BASE, MEDIA = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = "gemini-2.5-flash"
MAJOR = int(genai.__version__.split(".")[0])
# Later versions alone can say what shape a picture is to have.
SHAPE = {"image_config": {"aspect_ratio": "1:1"}} if hasattr(types, "ImageConfig") else {}
client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=BASE))


def text() -> None:
    response = client.models.generate_content(model=MODEL, contents="Why is the sky blue?")
    assert response.text and response.candidates[0].finish_reason.name in ("STOP", "MAX_TOKENS")
    assert response.usage_metadata.total_token_count > response.usage_metadata.prompt_token_count > 0
    response = client.models.generate_content(
        model=MODEL,
        contents="high",
        config=types.GenerateContentConfig(
            system_instruction="I say high, you say low",
            max_output_tokens=30,
            temperature=0.3,
            top_k=40,
            top_p=0.9,
            seed=5,
            stop_sequences=["STOP!"],
            presence_penalty=0.5,
            frequency_penalty=0.5,
            candidate_count=2,
            safety_settings=[
                types.SafetySetting(category="HARM_CATEGORY_HATE_SPEECH", threshold="BLOCK_ONLY_HIGH"),
            ],
            thinking_config=types.ThinkingConfig(thinking_budget=0),
        ),
    )
    assert len(response.candidates) == 2
    response = client.models.generate_content(
        model=MODEL,
        contents="Hello",
        config=types.GenerateContentConfig(response_logprobs=True, logprobs=3, max_output_tokens=5),
    )
    told = response.candidates[0].logprobs_result
    assert len(told.chosen_candidates) == len(told.top_candidates) and len(told.top_candidates[0].candidates) == 3


def streams() -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Tell me a story in 300 words."))
    assert len(chunks) > 1 and all(chunk.text is not None for chunk in chunks[:-1])
    assert chunks[-1].candidates[0].finish_reason is not None and chunks[-1].usage_metadata.candidates_token_count > 1
    chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(max_output_tokens=20))
    first = chat.send_message("tell me a story")
    assert first.text is not None
    for chunk in chat.send_message_stream("summarize the story you told me in 1 sentence"):
        assert chunk.candidates
    assert len(chat.get_history()) >= 4


async def asynchronous() -> None:
    response = await client.aio.models.generate_content(model=MODEL, contents="Tell me a story in 300 words.")
    assert response.text
    async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="Tell me a story."):
        assert chunk.candidates
    many = [client.aio.models.count_tokens(model=MODEL, contents="why is the sky blue?") for _ in range(8)]
    assert len({found.total_tokens for found in await asyncio.gather(*many)}) == 1


def vision() -> None:
    image = types.Part.from_bytes(data=(MEDIA / "cat.png").read_bytes(), mime_type="image/png")
    response = client.models.generate_content(model=MODEL, contents=["What is this image about?", image])
    assert response.text and "IMAGE" in modalities(response)
    low = types.GenerateContentConfig(media_resolution="MEDIA_RESOLUTION_LOW", max_output_tokens=5)
    assert client.models.generate_content(model=MODEL, contents=[image, image, "Compare"], config=low).text
    from PIL import Image

    assert client.models.generate_content(model=MODEL, contents=[Image.open(MEDIA / "cat.png"), "Caption it"]).text


def audio() -> None:
    sound = types.Part.from_bytes(data=(MEDIA / "word.wav").read_bytes(), mime_type="audio/wav")
    response = client.models.generate_content(model=MODEL, contents=["Describe this audio clip", sound])
    assert response.text and "AUDIO" in modalities(response)


def video() -> None:
    blob = types.Blob(data=(MEDIA / "clip.mp4").read_bytes(), mime_type="video/mp4")
    part = types.Part(inline_data=blob, video_metadata=types.VideoMetadata(fps=2, start_offset="0.5s", end_offset="2s"))
    contents = types.Content(role="user", parts=[part, types.Part(text="?")])
    response = client.models.generate_content(model=MODEL, contents=contents)
    assert response.text is not None and "VIDEO" in modalities(response)


class Recipe(BaseModel):
    name: str
    minutes: int
    vegan: bool


class Instrument(enum.Enum):
    PERCUSSION = "Percussion"
    STRING = "String"


def json() -> None:
    config = {"response_mime_type": "application/json", "response_schema": Recipe, "max_output_tokens": 300}
    response = client.models.generate_content(model=MODEL, contents="A recipe.", config={**config, "seed": 3})
    if response.candidates[0].finish_reason.name == "STOP":
        assert isinstance(response.parsed, Recipe)
    free = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    config = {"response_mime_type": "application/json", "response_json_schema": free}
    assert client.models.generate_content(model=MODEL, contents="One or two?", config=config).parsed["n"] in (1, 2)
    config = {"response_mime_type": "text/x.enum", "response_schema": Instrument}
    response = client.models.generate_content(model=MODEL, contents="What instrument is this?", config=config)
    assert response.text in ("Percussion", "String")


def files() -> None:
    uploaded = client.files.upload(file=MEDIA / "clip.mp4", config={"display_name": "a clip"})
    assert uploaded.state.name == "ACTIVE" and uploaded.size_bytes == (MEDIA / "clip.mp4").stat().st_size
    while client.files.get(name=uploaded.name).state.name == "PROCESSING":
        time.sleep(1)
    assert client.models.generate_content(model=MODEL, contents=["What happens?", uploaded]).text is not None
    counted = client.models.count_tokens(model=MODEL, contents=["What happens?", uploaded])
    assert counted.total_tokens > 10
    big = client.files.upload(file=MEDIA / "big.bin", config={"mime_type": "application/octet-stream"})
    assert big.size_bytes == (MEDIA / "big.bin").stat().st_size > 8 << 20  # more than one chunk
    named = client.files.upload(file=MEDIA / "note.txt", config={"name": f"note-{int(time.time() * 1000)}"})
    assert client.models.generate_content(model=MODEL, contents=["Summarise", named]).text is not None
    names = {file.name for file in client.files.list(config={"page_size": 2})}
    assert {uploaded.name, big.name, named.name} <= names
    for file in (uploaded, big, named):
        client.files.delete(name=file.name)
    expect(404, lambda: client.files.get(name=uploaded.name))


def pictures() -> None:
    response = client.models.generate_content(
        model="gemini-2.5-flash-image",
        contents=["Create a picture of a nano banana dish in a fancy restaurant with a Gemini theme"],
        config=types.GenerateContentConfig(response_modalities=["IMAGE"], max_output_tokens=100, **SHAPE),
    )
    found = [part for part in response.candidates[0].content.parts if part.inline_data is not None]
    assert found and found[0].inline_data.mime_type == "image/png"
    assert found[0].inline_data.data.startswith(b"\x89PNG\r\n\x1a\n")
    both = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"], max_output_tokens=100)
    chat = client.chats.create(model=MODEL, config=both)
    chat.send_message("Draw a cat")
    chat.send_message("Now with a hat")


def vectors() -> None:
    response = client.models.embed_content(
        model="text-embedding-004",
        contents=["why is the sky blue?", "What is your age?"],
        config=types.EmbedContentConfig(output_dimensionality=10),
    )
    assert [len(embedding.values) for embedding in response.embeddings] == [10, 10]


def models() -> None:
    assert [model.name for model in client.models.list()]
    model = client.models.get(model=MODEL)
    assert model.input_token_limit > 0


def functions() -> None:
    """Declared functions are accepted; the model calls none."""
    declaration = types.FunctionDeclaration(
        name="get_weather",
        description="The weather",
        parameters_json_schema={"type": "object", "properties": {"place": {"type": "string"}}},
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])], max_output_tokens=5)
    assert client.models.generate_content(model=MODEL, contents="Weather?", config=config).candidates


def problems() -> None:
    expect(400, lambda: client.models.generate_content(model=MODEL, contents="a", config={"temperature": -1}))
    expect(404, lambda: client.models.generate_content(model="nothing", contents="a"))
    part = types.Part.from_bytes(data=b"no picture", mime_type="image/png")
    expect(400, lambda: client.models.generate_content(model=MODEL, contents=[part]))
    expect(400, lambda: client.models.generate_content(model=MODEL, contents="word " * 100_000))
    uri = types.Part.from_uri(file_uri="https://example.org/a.png", mime_type="image/png")
    expect(400, lambda: client.models.generate_content(model=MODEL, contents=[uri]))
    hasty = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=BASE, timeout=1))
    try:
        list(hasty.models.generate_content_stream(model=MODEL, contents="Tell me a very long story."))
    except Exception as error:
        assert not isinstance(error, AssertionError)


def expect(code: int, call) -> None:
    try:
        call()
    except errors.APIError as error:
        assert error.code == code, error
        assert error.status and error.message
    else:
        raise AssertionError(f"no error {code}")


def modalities(response) -> set[str]:
    return {detail.modality.name for detail in response.usage_metadata.prompt_tokens_details}


if __name__ == "__main__":
    print(f"google-genai {genai.__version__}")
    for example in (text, streams, vision, audio, video, json, files, pictures, vectors, models, functions, problems):
        began = time.monotonic()
        example()
        print(f"  {example.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    asyncio.run(asynchronous())
    print("all examples ran")
