// A conversation as one sequence of ids, and the places in it that images fill with soft tokens.
//
//   <bos> (<|turn>role NEWLINE parts <turn|> NEWLINE)… <|turn>model NEWLINE

export const BOS = 2;

/** What the decoder reads: ids, and for each either nothing or [image, which of its soft tokens]. */
export class Sequence {
  ids = [];
  soft = [];

  static of(...ids) {
    const made = new Sequence();
    made.add(ids);
    return made;
  }

  add(ids) {
    for (const id of ids) {
      this.ids.push(id);
      this.soft.push(null);
    }
  }

  image(seen, vocabulary) {
    this.add([vocabulary.mark("<|image>")]);
    for (let n = 0; n < seen.count; n++) {
      this.ids.push(vocabulary.mark("<|image|>"));
      this.soft.push([seen, n]);
    }
    this.add([vocabulary.mark("<image|>")]);
  }

  /** How many places at the beginning are those of another sequence. */
  shared(other) {
    const same = (at) => {
      const [mine, theirs] = [this.soft[at], other.soft[at]];
      return this.ids[at] === other.ids[at] && mine?.[0] === theirs?.[0] && mine?.[1] === theirs?.[1];
    };
    let count = 0;
    while (count < Math.min(this.ids.length, other.ids.length) && same(count)) count++;
    return count;
  }
}

/**
 * Turns so far and the opening of the model's answer. A part is {text}, {image} (seen: patches, positions, count), or
 * {ids}, what the model wrote.
 */
export function prompt(turns, vocabulary) {
  const sequence = Sequence.of(BOS);
  const open = (role) => sequence.add([vocabulary.mark("<|turn>"), ...vocabulary.encode(`${role}\n`)]);
  for (const { role, parts } of turns) {
    open(role);
    for (const part of parts) {
      if (part.image) sequence.image(part.image, vocabulary);
      else sequence.add(part.ids ?? vocabulary.encode(part.text));
    }
    sequence.add([vocabulary.mark("<turn|>"), ...vocabulary.encode("\n")]);
  }
  open("model");
  return sequence;
}
