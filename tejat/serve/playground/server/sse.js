// Server-sent events: the JSON of each `data:` line of a response's body, as it comes.

/** Values of the events. A character or a line may be split anywhere. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? "")).split(/\r?\n/);
      rest = done ? "" : lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
        else if (!line && data.length) {
          yield JSON.parse(data.join("\n"));
          data = [];
        }
      }
      if (done) break;
    }
    if (data.length) yield JSON.parse(data.join("\n"));
  } finally {
    reader.cancel().catch(() => {});
  }
}
