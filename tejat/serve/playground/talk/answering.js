// One answer: asked for, read as it comes, and kept in its node in the order in which the model gave it.

import { request } from "./request.js";
import { pathTo } from "./tree.js";
import { attach, forgetFiles, unbase64 } from "../server/attach.js";
import { ServerError, stream, whole } from "../server/gemini.js";
import { readFile } from "../media/reading.js";

/**
 * Fills `node` of the conversation with the answer of `settings.model`; `changed()` after each piece. Does not throw, save
 * for a missing key: what goes wrong is the node's `error`, and `signal` ends it as "STOPPED".
 */
export async function answer(conversation, node, settings, library, { signal, changed }) {
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  const messages = pathTo(conversation, node.parent);
  try {
    const send = async () => {
      const asked = await body(messages, settings, library, signal, node, changed);
      const many = asked.generationConfig?.imageConfig?.bestOf;
      if (!many) return stream(settings.model, asked, signal);
      // Which is the best is known when all are drawn.
      node.phase = `Drawing ${many}, to show the best …`;
      changed();
      return whole(settings.model, asked, signal);
    };
    let pieces = await send();
    let piece;
    try {
      piece = await pieces.next();
    } catch (error) {
      // Files that the server has forgotten, because it was started anew, are sent again, once.
      if (![400, 403, 404].includes(error.code) || !/file/i.test(error.message)) throw error;
      forgetFiles();
      pieces = await send();
      piece = await pieces.next();
    }
    for (; !piece.done; piece = await pieces.next()) {
      node.first ??= since();
      await take(node, piece.value, library);
      node.seconds = since();
      changed();
    }
  } catch (error) {
    if (error.name === "AbortError") node.finish = "STOPPED";
    else {
      node.error = error.message;
      if (!(error instanceof ServerError)) console.warn(error);
      node.needsKey = error.needsKey;
    }
  } finally {
    node.seconds ??= since();
    delete node.phase;
  }
}

/** The body of a request, with media that wait for their upload. */
export function body(messages, settings, library, signal, node = {}, changed = () => {}) {
  return request(messages, settings, async (part) => {
    const medium = await library.medium(part.media);
    if (!medium) throw new Error("A medium of this conversation is no longer in the browser; edit the message without it.");
    const told = (done) => {
      node.phase = `Sending ${medium.name}: ${Math.round(done * 100)}% …`;
      changed();
    };
    const wired = await unlessAborted(attach(medium, told), signal);
    node.phase = undefined;
    return wired;
  });
}

async function take(node, { candidates, usageMetadata, promptFeedback }, library) {
  const candidate = candidates?.[0];
  for (const part of candidate?.content?.parts ?? []) {
    const last = node.parts.at(-1);
    if (part.thought) continue;
    if (part.text !== undefined) {
      if (last?.kind === "text") last.text += part.text;
      else if (part.text) node.parts.push({ kind: "text", text: part.text });
    } else if (part.inlineData) {
      const { mimeType, data } = part.inlineData;
      const number = node.parts.filter(({ kind }) => kind !== "text").length + 1;
      const ending = mimeType.split("/")[1].split(/[+;]/)[0];
      const file = new File([unbase64(data)], `drawn-${node.id.slice(0, 6)}-${number}.${ending}`, { type: mimeType });
      const medium = await library.addMedium(await readFile(file));
      node.parts.push({ kind: medium.kind, media: medium.id });
    }
  }
  if (candidate?.finishReason) node.finish = candidate.finishReason;
  if (promptFeedback?.blockReason) throw new ServerError("The server refused the prompt.", 400);
  if (usageMetadata) node.usage = { prompt: usageMetadata.promptTokenCount, answer: usageMetadata.candidatesTokenCount };
}

function unlessAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("stopped", "AbortError"));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject);
  });
}
