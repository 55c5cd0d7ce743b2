// SentencePiece in the browser: the ids that the library gives, from the very file that it reads.
//
// Both kinds are here, pairs merged by score (BPE) and the likeliest cut (unigram; Kudo 2018). Pieces are looked up as
// strings, spaces written as U+2581; what has no piece is spelled in bytes.

const NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, BYTE = 6;
const SPACE = "\u2581", UNIGRAM = 1, BPE = 2;
const UNKNOWN_PENALTY = 10; // below the rarest piece, as in the library

/** The fields of a protocol buffer: [number, bytes or number], one after the other. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0, scale = 1;
    for (;;) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const key = varint(), number = Math.floor(key / 8), wire = key % 8;
    if (wire === 0) yield [number, varint()];
    else {
      const length = wire === 2 ? varint() : wire === 5 ? 4 : 8;
      yield [number, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

const float = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);

/** Pieces, their scores and kinds, and how a text becomes some of them. */
export class Vocabulary {
  constructor(bytes) {
    const utf8 = new TextDecoder();
    this.pieces = [];
    this.scores = [];
    this.kinds = [];
    this.model = UNIGRAM;
    for (const [number, value] of fields(bytes)) {
      if (number === 1) this.#piece(value, utf8);
      else if (number === 2) for (const [n, v] of fields(value)) if (n === 3) this.model = v;
    }
    if (!this.pieces.length || (this.model !== BPE && this.model !== UNIGRAM)) {
      throw new Error("tokenizer.model is no SentencePiece model of a kind that is known here; export the model again");
    }
    this.size = this.pieces.length;
    this.ids = new Map(); // pieces that a text may become
    this.named = new Map(); // all of them
    this.byteIds = new Int32Array(256);
    this.longest = 1;
    this.lowest = Infinity;
    this.highest = -Infinity;
    this.defined = [];
    for (let id = 0; id < this.size; id++) {
      const piece = this.pieces[id], kind = this.kinds[id];
      this.named.set(piece, id);
      if (kind === BYTE) this.byteIds[parseInt(piece.slice(3, 5), 16)] = id;
      if (kind !== NORMAL && kind !== USER_DEFINED) continue;
      this.ids.set(piece, id);
      this.longest = Math.max(this.longest, [...piece].length);
      if (kind === USER_DEFINED) this.defined.push(piece);
      else {
        this.lowest = Math.min(this.lowest, this.scores[id]);
        this.highest = Math.max(this.highest, this.scores[id]);
      }
    }
    this.defined.sort((a, b) => b.length - a.length);
  }

  #piece(value, utf8) {
    let piece = "", score = 0, kind = NORMAL;
    for (const [number, part] of fields(value)) {
      if (number === 1) piece = utf8.decode(part);
      else if (number === 2) score = float(part);
      else if (number === 3) kind = part;
    }
    this.pieces.push(piece);
    this.scores.push(score);
    this.kinds.push(kind);
  }

  /** The id of a control token. */
  mark(name) {
    const id = this.named.get(name);
    if (id === undefined) throw new Error(`tokenizer.model lacks the control token ${name}; export the model again`);
    return id;
  }

  /** Text to ids. Control tokens spelled out in the text stay text. */
  encode(text) {
    // A text's own U+2581 is spelled in bytes: its piece would come back as a space.
    const spelled = [...new TextEncoder().encode(SPACE)].map((byte) => this.byteIds[byte]);
    return text.toWellFormed().split(SPACE).flatMap((run, at) => (at ? [...spelled, ...this.#run(run)] : this.#run(run)));
  }

  #run(text) {
    const signs = [...text.replaceAll(" ", SPACE)];
    if (!signs.length) return [];
    const cut = this.model === BPE ? this.#merged(signs) : this.#likeliest(signs);
    const utf8 = new TextEncoder();
    return cut.flatMap((piece) => {
      const id = this.ids.get(piece);
      return id === undefined ? [...utf8.encode(piece)].map((byte) => this.byteIds[byte]) : [id];
    });
  }

  /** A user-defined piece that begins at a sign: these are never cut, nor merged with others. */
  #definedAt(signs, at) {
    if (!this.defined.length) return "";
    const ahead = signs.slice(at, at + this.longest).join("");
    return this.defined.find((piece) => ahead.startsWith(piece)) ?? "";
  }

  #merged(signs) {
    const symbols = [];
    for (let at = 0; at < signs.length; ) {
      const whole = this.#definedAt(signs, at), text = whole || signs[at];
      symbols.push({ text, fixed: whole !== "", previous: symbols.length - 1, next: symbols.length + 1 });
      at += whole ? [...whole].length : 1;
    }
    symbols.at(-1).next = -1;
    const agenda = new Agenda();
    const offer = (left, right) => {
      if (left < 0 || right < 0 || symbols[left].fixed || symbols[right].fixed) return;
      const text = symbols[left].text + symbols[right].text, id = this.ids.get(text);
      if (id !== undefined) agenda.push({ score: this.scores[id], left, right, text });
    };
    for (let at = 1; at < symbols.length; at++) offer(at - 1, at);
    for (let best; (best = agenda.pop()); ) {
      const left = symbols[best.left], right = symbols[best.right];
      if (!left.text || !right.text || left.text + right.text !== best.text) continue; // merged with another meanwhile
      left.text = best.text;
      left.next = right.next;
      if (right.next >= 0) symbols[right.next].previous = best.left;
      right.text = "";
      offer(left.previous, best.left);
      offer(best.left, left.next);
    }
    const found = [];
    for (let at = 0; at >= 0; at = symbols[at].next) found.push(symbols[at].text);
    return found;
  }

  #likeliest(signs) {
    const count = signs.length, unknown = Math.fround(this.lowest - UNKNOWN_PENALTY);
    const best = new Float32Array(count + 1), from = new Int32Array(count + 1).fill(-1);
    for (let start = 0; start < count; start++) {
      let piece = "", single = false;
      for (let end = start + 1; end <= Math.min(count, start + this.longest); end++) {
        piece += signs[end - 1];
        const id = this.ids.get(piece);
        if (id === undefined) continue;
        const long = new TextEncoder().encode(piece).length;
        const score = this.kinds[id] === USER_DEFINED ? Math.fround(long * this.highest - 0.1) : this.scores[id];
        this.#arrive(best, from, start, end, score);
        single ||= end === start + 1;
      }
      if (!single) this.#arrive(best, from, start, start + 1, unknown);
    }
    const found = [];
    for (let end = count; end > 0; end = from[end]) found.push(signs.slice(from[end], end).join(""));
    return found.reverse();
  }

  #arrive(best, from, start, end, score) {
    const total = Math.fround(best[start] + score);
    if (from[end] < 0 || total > best[end]) [best[end], from[end]] = [total, start];
  }

  /** The bytes that an id stands for; control tokens stand for none. */
  bytes(id) {
    const kind = this.kinds[id];
    if (kind === BYTE) return Uint8Array.of(parseInt(this.pieces[id].slice(3, 5), 16));
    if (kind !== NORMAL && kind !== USER_DEFINED) return new Uint8Array();
    return new TextEncoder().encode(this.pieces[id].replaceAll(SPACE, " "));
  }
}

/** Merges that may be made: the highest score first, of equals the leftmost. A binary heap. */
class Agenda {
  #heap = [];

  push(merge) {
    const heap = this.#heap;
    let at = heap.push(merge) - 1;
    while (at > 0 && before(merge, heap[(at - 1) >> 1])) {
      heap[at] = heap[(at - 1) >> 1];
      at = (at - 1) >> 1;
    }
    heap[at] = merge;
  }

  pop() {
    const heap = this.#heap, first = heap[0], last = heap.pop();
    if (!heap.length) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (child >= heap.length || !before(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a, b) => a.score > b.score || (a.score === b.score && a.left < b.left);
