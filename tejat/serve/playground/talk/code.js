// The same request as a program: for curl, for google-genai and for openai. A medium becomes a file of its name.

const KEY = "TEJAT_API_KEY";

/** A file name that is safe in every shell and language, and not yet in `taken`. */
export function fileName(medium, taken) {
  const [, stem, ending] = /^(.*?)(\.[A-Za-z0-9]{1,5})?$/s.exec(medium.name);
  const safe = stem.normalize("NFKD").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || medium.kind;
  for (let number = 1; ; number += 1) {
    const name = `${safe}${number > 1 ? `-${number}` : ""}${ending ?? ""}`;
    if (!taken.has(name)) {
      taken.add(name);
      return name;
    }
  }
}

/** A curl command for `body`, in which a medium is {inlineData: {mimeType, file}}. `origin` ends without a slash. */
export function curl(origin, model, body, withKey) {
  const marks = [];
  const marked = replaced(body, ({ file }) => {
    marks.push(file);
    return `\0${marks.length - 1}\0`;
  });
  let text = JSON.stringify(marked, null, 2);
  const media = marks.length > 0;
  // In an open here-document the shell reads $, ` and \ as its own.
  if (media) text = text.replace(/[\\$`]/g, "\\$&").replace(/\\\\u0000(\d+)\\\\u0000/g, (_, at) => `$(base64 < '${marks[at]}' | tr -d '\\n')`);
  const [option, method] = bestIn(body) ? ["", "generateContent"] : [" -N", "streamGenerateContent?alt=sse"];
  return [
    `curl -sS${option} '${origin}/v1beta/models/${model}:${method}' \\`,
    ...(withKey ? [`  -H "x-goog-api-key: $${KEY}" \\`] : []),
    `  -H 'Content-Type: application/json' -d @- <<${media ? "END" : "'END'"}`,
    text,
    "END",
  ].join("\n");
}

/** A Python program with google-genai. */
export function googleGenai(origin, model, body, withKey) {
  const contents = body.contents.map(({ role, parts }) => `types.Content(role=${py(role)}, parts=[\n${parts.map((part) => `        ${genaiPart(part)},\n`).join("")}    ])`);
  const config = genaiConfig(body);
  const media = body.contents.some(({ parts }) => parts.some((part) => part.inlineData));
  const asked = `model=${py(model)}, contents=contents${config.length ? ", config=config" : ""}`;
  return [
    ...(withKey ? ["import os"] : []),
    ...(media || drawsIn(body) ? ["from pathlib import Path"] : []),
    ...(withKey || media || drawsIn(body) ? [""] : []),
    "from google import genai",
    "from google.genai import types",
    "",
    `client = genai.Client(api_key=${withKey ? `os.environ["${KEY}"]` : '"none"'}, http_options=types.HttpOptions(base_url=${py(origin)}))`,
    "contents = [",
    ...contents.map((content) => `    ${content},`),
    "]",
    ...(config.length ? ["config = types.GenerateContentConfig(", ...config.map((line) => `    ${line},`), ")"] : []),
    ...(drawsIn(body) ? ["pictures = 0"] : []),
    ...(bestIn(body)
      ? [`answer = client.models.generate_content(${asked})`, "for chunk in [answer]:"]
      : [`for chunk in client.models.generate_content_stream(${asked}):`]),
    "    for part in chunk.parts or []:",
    "        if part.text:",
    '            print(part.text, end="", flush=True)',
    ...(drawsIn(body)
      ? ["        elif part.inline_data:", "            pictures += 1", '            Path(f"picture-{pictures}.png").write_bytes(part.inline_data.data)']
      : []),
  ].join("\n");
}

/** A Python program with openai. Films, and pictures in answers, are this server's additions to that dialect. */
export function openai(origin, model, body, withKey) {
  const left = new Set();
  const messages = body.contents.map(({ role, parts }) => openaiMessage(role, parts, left));
  if (body.systemInstruction) messages.unshift(`{"role": "system", "content": ${py(body.systemInstruction.parts[0].text)}}`);
  const options = openaiOptions(body.generationConfig ?? {}, left);
  const [draws, best] = [drawsIn(body), bestIn(body)];
  const said = best ? "message" : "delta";
  const reads = messages.some((message) => message.includes("encoded("));
  return [
    ...[...left].map((what) => `# Left out, for this dialect has no place for it: ${what}.`),
    ...(reads || draws ? ["import base64"] : []),
    ...(withKey ? ["import os"] : []),
    ...(reads || draws ? ["from pathlib import Path"] : []),
    ...(reads || draws || withKey ? [""] : []),
    "from openai import OpenAI",
    "",
    ...(reads ? ["", "def encoded(path):", "    return base64.b64encode(Path(path).read_bytes()).decode()", "", ""] : []),
    `client = OpenAI(api_key=${withKey ? `os.environ["${KEY}"]` : '"none"'}, base_url=${py(`${origin}/v1`)})`,
    "messages = [",
    ...messages.map((message) => `    ${message},`),
    "]",
    ...(draws ? ["pictures = 0"] : []),
    `${best ? "answer" : "stream"} = client.chat.completions.create(model=${py(model)}, messages=messages${best ? "" : ", stream=True"}${options.map((option) => `, ${option}`).join("")})`,
    best ? "for chunk in [answer]:" : "for chunk in stream:",
    "    for choice in chunk.choices:",
    `        print(choice.${said}.content or "", end="", flush=True)`,
    ...(draws
      ? [
          `        for image in getattr(choice.${said}, "images", None) or []:`,
          "            pictures += 1",
          '            data = image["image_url"]["url"].partition(",")[2]',
          '            Path(f"picture-{pictures}.png").write_bytes(base64.b64decode(data))',
        ]
      : []),
  ].join("\n");
}

function genaiPart({ text, inlineData, videoMetadata }) {
  if (text !== undefined) return `types.Part.from_text(text=${py(text)})`;
  const data = `data=Path(${py(inlineData.file)}).read_bytes(), mime_type=${py(inlineData.mimeType)}`;
  if (!videoMetadata) return `types.Part.from_bytes(${data})`;
  const names = { startOffset: "start_offset", endOffset: "end_offset", fps: "fps" };
  const metadata = Object.entries(videoMetadata).map(([name, value]) => `${names[name]}=${py(value)}`);
  return `types.Part(inline_data=types.Blob(${data}), video_metadata=types.VideoMetadata(${metadata.join(", ")}))`;
}

function genaiConfig({ systemInstruction, generationConfig = {} }) {
  const lines = systemInstruction ? [`system_instruction=${py(systemInstruction.parts[0].text)}`] : [];
  for (const [name, value] of Object.entries(generationConfig)) {
    if (name !== "imageConfig") lines.push(`${snake(name)}=${py(value)}`);
    else {
      // What is this server's alone has no field in the package.
      const [known, own] = split(value, ["aspectRatio", "imageSize"]);
      if (Object.keys(known).length) lines.push(`image_config=types.ImageConfig(${Object.entries(known).map(([field, inner]) => `${snake(field)}=${py(inner)}`).join(", ")})`);
      if (Object.keys(own).length) lines.push(`http_options=types.HttpOptions(extra_body=${py({ generationConfig: { imageConfig: own } })})`);
    }
  }
  return lines;
}

function openaiMessage(role, parts, left) {
  const name = role === "model" ? '"assistant"' : '"user"';
  if (parts.every(({ text }) => text !== undefined)) return `{"role": ${name}, "content": ${py(parts.map(({ text }) => text).join(""))}}`;
  if (parts.some(({ videoMetadata }) => videoMetadata)) left.add("clips and frame rates of films");
  return `{"role": ${name}, "content": [\n${parts.map((part) => `        ${openaiPart(part)},\n`).join("")}    ]}`;
}

function openaiPart({ text, inlineData }) {
  if (text !== undefined) return `{"type": "text", "text": ${py(text)}}`;
  const { mimeType, file } = inlineData;
  if (mimeType.startsWith("audio/")) {
    const format = /mp3|mpeg/.test(mimeType) ? "mp3" : "wav";
    return `{"type": "input_audio", "input_audio": {"data": encoded(${py(file)}), "format": "${format}"}}`;
  }
  const type = mimeType.startsWith("image/") ? "image_url" : "video_url";
  return `{"type": "${type}", "${type}": {"url": "data:${mimeType};base64," + encoded(${py(file)})}}`;
}

function openaiOptions(config, left) {
  const options = [];
  const extra = {}; // this server's additions to the dialect
  const names = { temperature: "temperature", topP: "top_p", maxOutputTokens: "max_tokens", seed: "seed", stopSequences: "stop" };
  for (const [name, value] of Object.entries(config)) {
    if (name in names) options.push(`${names[name]}=${py(value)}`);
    else if (name === "topK") extra.top_k = value;
    else if (name === "responseJsonSchema") {
      options.push(`response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": ${py(value)}}}`);
    } else if (name === "responseMimeType" && !config.responseJsonSchema) options.push('response_format={"type": "json_object"}');
    else if (name === "responseModalities" && value.includes("IMAGE")) options.push(`modalities=${py(value.map((kind) => kind.toLowerCase()))}`);
    else if (name === "mediaResolution") left.add("the resolution of media");
    else if (name === "imageConfig") extra.image_config = Object.fromEntries(Object.entries(value).map(([field, inner]) => [snake(field), inner]));
  }
  if (Object.keys(extra).length) options.push(`extra_body=${py(extra)}`);
  return options;
}

const drawsIn = ({ generationConfig }) => Boolean(generationConfig?.responseModalities?.includes("IMAGE"));

const bestIn = ({ generationConfig }) => Boolean(generationConfig?.imageConfig?.bestOf);

/** The fields with these names, and the others. */
function split(object, names) {
  const [known, own] = [{}, {}];
  for (const [name, value] of Object.entries(object)) (names.includes(name) ? known : own)[name] = value;
  return [known, own];
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A value as a Python literal: JSON's strings are Python's, its constants are not. */
function py(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(py).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, inner]) => `${py(name)}: ${py(inner)}`).join(", ")}}`;
  return JSON.stringify(value);
}

/** The body with each medium's `file` turned into `data`. */
function replaced(value, dataOf) {
  if (Array.isArray(value)) return value.map((inner) => replaced(inner, dataOf));
  if (value === null || typeof value !== "object") return value;
  if (value.file !== undefined && value.mimeType !== undefined) return { mimeType: value.mimeType, data: dataOf(value) };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, replaced(inner, dataOf)]));
}
