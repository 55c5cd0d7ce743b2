// The server this page came from, in its Gemini dialect. Every failure is a ServerError with one clear sentence.

import { key } from "./key.js";
import { events } from "./sse.js";

const CHUNK = 4 * 1024 * 1024; // of an upload
const TRIES = 3;

/** `message` is for people; `code` is HTTP's, 0 where no answer came; `needsKey` where a key is missing or wrong. */
export class ServerError extends Error {
  constructor(message, code = 0) {
    super(message);
    this.code = code;
    this.needsKey = code === 401;
  }
}

/** Where a path lies on this server, whatever folder a proxy has put it in. */
export const address = (path) => new URL(path, document.baseURI).href;

/** The models: [{name: "models/…", displayName, inputTokenLimit, outputTokenLimit, supportedGenerationMethods, …}]. */
export async function models(signal) {
  const { models: found = [] } = await json("v1beta/models?pageSize=1000", { signal });
  return found.filter(({ supportedGenerationMethods: can }) => !can || can.includes("generateContent") || can.includes("streamGenerateContent"));
}

/** How many tokens a request takes: {totalTokens, promptTokensDetails}. */
export function countTokens(model, body, signal) {
  return json(`v1beta/${model}:countTokens`, { method: "POST", body: { generateContentRequest: { model, ...body } }, signal });
}

/** Pieces of the answer as they come: each a GenerateContentResponse. */
export async function* stream(model, body, signal) {
  const response = await ask(`v1beta/${model}:streamGenerateContent?alt=sse`, { method: "POST", body, signal });
  let last = null;
  try {
    for await (const piece of events(response.body)) {
      if (piece.error) throw new ServerError(sentence(piece.error.message, "The server failed in the middle of the answer"), piece.error.code ?? 500);
      last = piece;
      yield piece;
    }
  } catch (error) {
    if (error instanceof ServerError || error.name === "AbortError") throw error;
    throw new ServerError("The connection to the server broke in the middle of the answer.");
  }
  if (!last) throw new ServerError("The server ended its answer before it began.");
}

/** The same where the answer comes whole, as one piece. */
export async function* whole(model, body, signal) {
  yield await json(`v1beta/${model}:generateContent`, { method: "POST", body, signal });
}

/** Gives the server a file to keep for a while: {uri, mimeType, expirationTime, name, …}. `told(fraction)` as it goes. */
export async function upload(blob, { name, mime }, told) {
  const begun = await ask("upload/v1beta/files", {
    method: "POST",
    headers: {
      "x-goog-upload-protocol": "resumable",
      "x-goog-upload-command": "start",
      "x-goog-upload-header-content-length": String(blob.size),
      "x-goog-upload-header-content-type": mime,
    },
    body: { file: { displayName: name, mimeType: mime } },
  });
  const given = begun.headers.get("x-goog-upload-url");
  if (!given) throw new ServerError("The server began an upload and did not say where to.");
  const { pathname, search } = new URL(given, document.baseURI); // whatever host it names: the one we talk to
  for (let offset = 0; ; ) {
    const piece = blob.slice(offset, offset + CHUNK);
    const final = offset + piece.size >= blob.size;
    const response = await insist(() =>
      ask(pathname + search, {
        method: "POST",
        headers: { "x-goog-upload-command": final ? "upload, finalize" : "upload", "x-goog-upload-offset": String(offset) },
        body: piece,
      }),
    );
    offset += piece.size;
    told?.(blob.size ? offset / blob.size : 1);
    if (final) return (await read(response)).file;
  }
}

/** The same chunk again where the connection broke: the server knows it by its offset. */
async function insist(send) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await send();
    } catch (error) {
      if (tried === TRIES || !(error instanceof ServerError) || (error.code && error.code < 500)) throw error;
    }
  }
}

async function json(path, options) {
  return read(await ask(path, options));
}

async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server answered with something that is not JSON.", response.status);
  }
}

async function ask(path, { method = "GET", headers = {}, body, signal }) {
  const all = { ...headers };
  if (key()) all["x-goog-api-key"] = key();
  if (body !== undefined && !(body instanceof Blob)) all["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path), {
      method,
      headers: all,
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      signal,
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(`The server at ${location.host} does not answer; is “tejat serve” still running?`);
  }
  if (response.ok) return response;
  throw await problem(response);
}

async function problem(response) {
  let said = "";
  try {
    said = (await response.json()).error?.message ?? "";
  } catch {
    // The status alone has to do.
  }
  const { status } = response;
  const wait = Number(response.headers.get("retry-after"));
  if (status === 401) return new ServerError(key() ? "The server does not know this API key." : "This server asks for an API key.", status);
  if (status === 429) {
    const told = sentence(said, "The server is busy");
    return new ServerError(wait && !/\d s\b/.test(told) ? `${told} Try again in ${Math.ceil(wait)} s.` : told, status);
  }
  if (status === 413) return new ServerError(sentence(said, "The request is larger than the server takes"), status);
  return new ServerError(sentence(said, `The server answered with status ${status}`), status);
}

/** What the server said as one sentence, or the usual one. */
function sentence(said, usual) {
  const text = String(said || usual).trim().slice(0, 600);
  const upper = /^[a-z]+[ ,;:]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text; // names of fields stay as they are
  return /[.!?…]$/.test(upper) ? upper : `${upper}.`;
}
