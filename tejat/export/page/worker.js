// The thread that computes. It is told what to load, what to answer and when to stop, and tells what it writes.
import { Engine } from "./engine.js";
import { prompt } from "./frame.js";

const PREVIEW = 4; // rows of codes between two looks at a picture that is being drawn

let engine = null;
let current = 0; // the answer that is wanted; another number stops the one before
let seen = new Map(); // images of the conversation, by key: one is looked at once

const tell = (message, ...moved) => postMessage(message, moved);

async function load({ runtime, folder, threads }) {
  const ort = await import(new URL("ort.wasm.min.mjs", runtime).href).catch((error) => {
    throw new Error(`onnxruntime-web cannot be loaded from ${runtime} (${error.message}); export the app again`);
  });
  ort.env.wasm.wasmPaths = runtime;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  engine = await Engine.load(ort, folder, (done, whole) => tell({ kind: "progress", done, whole }));
  const { config, about } = engine;
  tell({ kind: "ready", name: config.name, weights: about.weights, sees: !!config.vision, draws: !!config.picture });
}

async function answer({ number, turns, options }) {
  current = number;
  const images = new Map();
  const parts = (part) => {
    if (!part.image) return part;
    const { key, ...image } = part.image;
    if (!seen.has(key)) seen.set(key, engine.seen(image));
    images.set(key, seen.get(key));
    return { image: seen.get(key) };
  };
  const sequence = prompt(turns.map((turn) => ({ ...turn, parts: turn.parts.map(parts) })), engine.vocabulary);
  seen = images;

  const { vocabulary, rule } = engine, utf8 = new TextDecoder();
  const ids = [], begun = performance.now();
  let codes = [], first = 0, drawing = 0;
  for await (const { id, picture } of engine.write(sequence, options, () => current !== number)) {
    first ||= performance.now();
    if (rule.ends(id)) break;
    ids.push(id);
    if (picture.written === 0 && id !== rule.end) {
      tell({ kind: "text", number, text: utf8.decode(vocabulary.bytes(id), { stream: true }) });
    } else if (picture.written === 1) codes = [];
    else if (picture.written === 3) tell({ kind: "begun", number, rows: picture.rows, columns: picture.columns });
    else if (id >= rule.textSize) codes.push(id - rule.textSize);
    if (picture.written > 3 && id === rule.row) {
      const rows = codes.length / picture.columns, done = rows === picture.rows;
      if (!done && rows % PREVIEW) continue;
      const from = performance.now(), image = await engine.drawn(codes, picture.columns);
      drawing += performance.now() - from;
      tell({ kind: "picture", number, done, image }, image.data.buffer);
    }
  }
  const rest = utf8.decode();
  if (rest) tell({ kind: "text", number, text: rest });
  const seconds = (performance.now() - (first || begun) - drawing) / 1000;
  tell({ kind: "done", number, ids, seconds, read: ((first || begun) - begun) / 1000, prompt: sequence.ids.length - ids.length });
}

onmessage = async ({ data }) => {
  try {
    if (data.kind === "load") await load(data);
    else if (data.kind === "answer") await answer(data);
    else if (data.kind === "stop") current = 0;
  } catch (error) {
    engine?.forget();
    const short = /memory|alloc/i.test(error.message);
    const told = short ? "memory is too short for this; close other pages and begin a new conversation" : error.message;
    tell({ kind: "error", number: data.number, message: told });
  }
};
