// The exported networks in onnxruntime-web: a sequence is read, then tokens are written one by one over a cache.
import { BOS, Sequence } from "./frame.js";
import { joined, patchify } from "./pixels.js";
import { chosen, Rule } from "./rule.js";
import { Vocabulary } from "./tokenizer.js";

const AT_ONCE = 128; // tokens read in one run
const BREATH = 4; // tokens written between two looks at whether to stop

/**
 * What was read, and the keys and values that the decoder left of it. A sliding layer keeps no more than a few windows:
 * its first place is position `base`, and what lies before is gone.
 */
class Memory {
  constructor(ort, { decoder }) {
    this.ort = ort;
    this.read = new Sequence();
    this.base = 0;
    this.window = decoder.window;
    this.full = Array.from({ length: decoder.layers }, (_, n) =>
      decoder.pattern ? decoder.pattern[n] === "full" : n % decoder.period === decoder.period - 1,
    );
    this.cache = this.full.map((full) => {
      const heads = (full && decoder.full_key_heads) || decoder.key_heads;
      const width = (full && decoder.full_head_width) || decoder.head_width;
      return [0, 1].map(() => new ort.Tensor("float32", new Float32Array(), [1, heads, 0, width]));
    });
  }

  get length() {
    return this.read.ids.length;
  }

  /** Keeps the first `count` places; none where the windows before them are gone. */
  keep(count) {
    if (count === this.length) return;
    if (this.base > 0 && count < this.base + this.window) count = this.base = 0;
    this.read.ids.length = this.read.soft.length = count;
    this.cache = this.cache.map((pair, n) =>
      pair.map((tensor) => this.#cut(tensor, 0, this.full[n] ? count : count - this.base)),
    );
  }

  /** Takes what a run has left, and leaves the windows that nothing to come will see. */
  take(cache, ids, soft) {
    this.cache = cache;
    this.read.ids.push(...ids);
    this.read.soft.push(...soft);
    const by = this.length - this.base - 2 * this.window;
    if (by < this.window) return;
    this.base += by;
    this.cache = this.cache.map((pair, n) =>
      this.full[n] ? pair : pair.map((tensor) => this.#cut(tensor, by, by + 2 * this.window)),
    );
  }

  #cut({ data, dims: [, heads, long, width] }, from, to) {
    const kept = new Float32Array(heads * (to - from) * width);
    for (let head = 0; head < heads; head++) {
      const places = data.subarray((head * long + from) * width, (head * long + to) * width);
      kept.set(places, head * (to - from) * width);
    }
    return new this.ort.Tensor("float32", kept, [1, heads, to - from, width]);
  }
}

/** The networks of a folder, and what was read last. */
export class Engine {
  /** `ort` is onnxruntime-web; `told(bytes, whole)` hears how far it is. */
  static async load(ort, folder, told = () => {}) {
    const engine = new Engine();
    engine.ort = ort;
    engine.folder = folder;
    engine.about = JSON.parse(new TextDecoder().decode(await bytesOf(folder, "manifest.json")));
    const read = async (name) => checked(name, await bytesOf(folder, name), engine.about);
    engine.config = JSON.parse(new TextDecoder().decode(await read("config.json")));
    engine.vocabulary = new Vocabulary(await read("tokenizer.model"));
    engine.rule = new Rule(engine.vocabulary, engine.config);
    engine.sessions = new Map();
    engine.told = told;
    await engine.session("decoder");
    engine.told = () => {};
    engine.forget();
    return engine;
  }

  /** One of its networks, loaded when it is first asked for. */
  session(name) {
    if (!this.sessions.has(name)) this.sessions.set(name, this.#open(name));
    return this.sessions.get(name);
  }

  async #open(name) {
    const files = Object.keys(this.about.files).filter((file) => file.startsWith(`${name}.onnx`));
    if (!files.length) throw new Error(`the model has no ${name}.onnx; export it again`);
    const whole = files.reduce((sum, file) => sum + this.about.files[file].bytes, 0);
    let before = 0;
    const held = [];
    for (const file of files) {
      const bytes = await bytesOf(this.folder, file, (done) => this.told(before + done, whole));
      before += bytes.length;
      held.push([file, await checked(file, bytes, this.about)]);
    }
    const [[, network], ...beside] = held.sort(([a], [b]) => a.length - b.length);
    return this.ort.InferenceSession.create(network, {
      executionProviders: ["wasm"],
      externalData: beside.map(([path, data]) => ({ path, data })),
      logSeverityLevel: 3,
    });
  }

  /** An image {height, width, data} as the decoder sees it: patches now, soft tokens when it is read. */
  seen(image) {
    if (!this.config.vision) throw new Error(`the model ${this.config.name} sees no images`);
    return { ...patchify(image, this.config.vision), rows: null };
  }

  async #softTokens(seen) {
    if (seen.rows) return seen.rows;
    const { Tensor } = this.ort, vision = await this.session("vision");
    const { soft } = await vision.run({
      patches: new Tensor("float32", seen.patches, seen.size),
      positions: new Tensor("int64", seen.positions, [seen.size[0], 2]),
    });
    seen.patches = seen.positions = null;
    return (seen.rows = soft.data);
  }

  /** A grid of codes as an image of four bytes a pixel. */
  async drawn(codes, columns) {
    const { Tensor } = this.ort, decoder = await this.session("picture_decoder");
    const positions = codes.flatMap((_, at) => [BigInt(at % columns), BigInt(Math.floor(at / columns))]);
    const { patches } = await decoder.run({
      codes: new Tensor("int64", BigInt64Array.from(codes, BigInt), [codes.length]),
      positions: new Tensor("int64", BigInt64Array.from(positions), [codes.length, 2]),
    });
    return joined(patches.data, codes.length / columns, columns);
  }

  /** Forgets what was read. */
  forget() {
    this.memory = new Memory(this.ort, this.config);
  }

  /** Reads a sequence on, up to a place; the scores after the last token, if they are wanted. */
  async #run(memory, sequence, to, wanted) {
    const from = memory.length, count = to - from;
    const { Tensor } = this.ort, { width } = this.config.decoder;
    const inside = sequence.soft.slice(from, to), seesAny = inside.some((place) => place);
    const soft = new Float32Array(seesAny ? count * width : width);
    for (const [at, place] of inside.entries()) {
      if (!place) continue;
      const rows = await this.#softTokens(place[0]);
      soft.set(rows.subarray(place[1] * width, (place[1] + 1) * width), at * width);
    }
    const at = wanted ? BigInt64Array.of(BigInt(count - 1)) : new BigInt64Array();
    const feeds = {
      tokens: new Tensor("int64", BigInt64Array.from(sequence.ids.slice(from, to), BigInt), [1, count]),
      soft: new Tensor("float32", soft, seesAny ? [1, count, width] : [1, 1, width]),
      is_soft: new Tensor("bool", Uint8Array.from(inside, (place) => (place ? 1 : 0)), [1, count]),
      position: new Tensor("int64", BigInt64Array.from({ length: count }, (_, n) => BigInt(from + n)), [1, count]),
      last: new Tensor("int32", Int32Array.of(to - 1), [1]),
      most: new Tensor("int32", Int32Array.of(to), [1]),
      window_last: new Tensor("int32", Int32Array.of(to - 1 - memory.base), [1]),
      window_most: new Tensor("int32", Int32Array.of(to - memory.base), [1]),
      at: new Tensor("int64", at, [at.length]),
    };
    const kept = memory.cache.flatMap((_, n) => [`key.${n}`, `value.${n}`]);
    memory.cache.forEach(([key, value], n) => Object.assign(feeds, { [`key.${n}`]: key, [`value.${n}`]: value }));
    const decoder = await this.session("decoder");
    const found = await decoder.run(feeds, [...(wanted ? ["scores"] : []), ...kept.map((name) => `new_${name}`)]);
    const cache = memory.cache.map((_, n) => [found[`new_key.${n}`], found[`new_value.${n}`]]);
    memory.take(cache, sequence.ids.slice(from, to), inside);
    return found.scores?.data;
  }

  /**
   * Writes an answer, token by token: yields {id, picture}, where `picture` is the state of the rule after the token.
   * `text` and `codes` say how both are chosen; with `codes.guidance` above 1 a picture follows what was asked more than
   * one that comes unasked (classifier-free guidance). `stopped()` ends it early. Throws where there is no room.
   */
  async *write(sequence, { limit, draws = true, text = {}, codes = {} } = {}, stopped = () => false) {
    const room = this.config.context - sequence.ids.length, { memory, rule } = this;
    if (room < 1) {
      const told = `the conversation has ${sequence.ids.length} tokens and the model remembers ${this.config.context}`;
      throw new Error(`${told}; begin a new one`);
    }
    let left = Math.min(limit ?? room, room), picture = rule.outside();
    const last = sequence.ids.length - 1;
    memory.keep(Math.min(memory.read.shared(sequence), last));
    while (memory.length < last) {
      await this.#run(memory, sequence, Math.min(memory.length + AT_ONCE, last), false);
      await breath();
      if (stopped()) return;
    }
    const unasked = { memory: new Memory(this.ort, this.config), sequence: new Sequence() };
    for (let written = 1; left > 0; written++) {
      let scores = await this.#run(memory, sequence, sequence.ids.length, true), how = text;
      if (rule.codeDue(picture)) {
        how = codes;
        if (how.guidance > 1) scores = guided(scores, await this.#unasked(unasked), how.guidance);
      }
      const id = chosen(scores, rule.allowed(picture, draws, left), how);
      picture = rule.after(picture, id);
      if (picture.written === 1) unasked.sequence = Sequence.of(BOS);
      if (picture.written) unasked.sequence.add([id]);
      left--;
      sequence.add([id]);
      yield { id, picture };
      if (rule.ends(id)) return;
      if (written % BREATH === 0) await breath();
      if (stopped()) return;
    }
  }

  /** Scores as if nobody had asked for the picture: all that comes before it is the begin of a document. */
  async #unasked({ memory, sequence }) {
    memory.keep(Math.min(memory.read.shared(sequence), sequence.ids.length - 1));
    return this.#run(memory, sequence, sequence.ids.length, true);
  }
}

const guided = (asked, unasked, strength) => asked.map((score, id) => unasked[id] + strength * (score - unasked[id]));

/** Lets messages in; a timer would wait for four milliseconds. */
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(0);
  });
}

async function bytesOf(folder, name, told = () => {}) {
  const answer = await fetch(new URL(name, folder)).catch(() => null);
  if (!answer?.ok) throw new Error(`${name} cannot be read from ${folder}; export the app again, and serve its folder`);
  const chunks = [];
  let long = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    told((long += value.length));
  }
  const whole = new Uint8Array(long);
  chunks.reduce((at, chunk) => (whole.set(chunk, at), at + chunk.length), 0);
  return whole;
}

/** The bytes of a file, if they are those that were exported. */
async function checked(name, bytes, about) {
  const { bytes: long, sha256 } = about.files[name] ?? {};
  let told = bytes.length === long ? "" : `has ${bytes.length} bytes and had ${long}`;
  if (!told && globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== sha256) told = "is not as it was exported";
  }
  if (told) throw new Error(`${name} ${told}; export the app again`);
  return bytes;
}
