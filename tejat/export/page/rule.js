// What the model may write next: text, the end of its turn, or a picture that is sure to be whole.
//
// Inside a picture each place admits one kind of token, so a picture is a counter:
//   written  1     2        3 …                              3 + rows (columns + 1)
//   due      rows  columns  rows × (columns codes, row end)  picture end

const EOS = 1;
const LEAST = 1e-7; // of an id, beside the likeliest: all of these together are not drawn once in a hundred pictures

export class Rule {
  constructor(vocabulary, config) {
    const picture = config.picture;
    this.textSize = config.text_vocabulary;
    this.codes = picture ? picture.levels.reduce((a, b) => a * b, 1) : 0;
    this.begin = vocabulary.mark("<|picture>");
    this.end = vocabulary.mark("<picture|>");
    this.row = vocabulary.mark("<|row|>");
    this.one = vocabulary.mark("<|size1|>");
    this.turnEnd = vocabulary.mark("<turn|>");
    this.longest = picture ? Math.min(picture.table, 64) : 0;
    this.budget = picture ? picture.budget : 0;
  }

  outside() {
    return { written: 0, rows: 0, columns: 0 };
  }

  ends(token) {
    return token === this.turnEnd || token === EOS;
  }

  /** Is the next token a code? */
  codeDue({ written, rows, columns }) {
    const place = written - 3;
    return place >= 0 && place < rows * (columns + 1) && place % (columns + 1) < columns;
  }

  /** The ids that may come next, as ranges [first, end), where `left` tokens may still be written. */
  allowed(state, draws, left) {
    const { written, rows, columns } = state;
    if (written === 0) {
      const begins = draws && this.longest > 0 && left >= tokens(1, 1);
      const text = begins ? [[this.turnEnd, this.textSize]] : [[this.turnEnd, this.begin], [this.begin + 1, this.textSize]];
      return [[EOS, EOS + 1], ...text];
    }
    if (written <= 2) {
      const fits = (side) =>
        written === 1
          ? side <= this.budget && tokens(side, 1) <= left + 1
          : rows * side <= this.budget && tokens(rows, side) <= left + 2;
      let most = 0;
      while (most < this.longest && fits(most + 1)) most++;
      return [[this.one, this.one + most]];
    }
    if (written - 3 >= rows * (columns + 1)) return [[this.end, this.end + 1]];
    return this.codeDue(state) ? [[this.textSize, this.textSize + this.codes]] : [[this.row, this.row + 1]];
  }

  /** The state after an allowed token. */
  after(state, token) {
    if (state.written === 0 ? token !== this.begin : token === this.end) return this.outside();
    const side = token - this.one + 1;
    return {
      written: state.written + 1,
      rows: state.written === 1 ? side : state.rows,
      columns: state.written === 2 ? side : state.columns,
    };
  }
}

/** Tokens of a whole picture. */
const tokens = (rows, columns) => 4 + rows * (columns + 1);

/**
 * One of the allowed ids. Temperature 0: the likeliest, of equals the first.
 * Else drawn from those that are left: the `topK` likeliest, and of them the fewest that reach `topP`.
 */
export function chosen(scores, ranges, { temperature = 0, topK = 0, topP = 1 } = {}, random = Math.random) {
  let best = ranges[0][0];
  for (const [first, end] of ranges) for (let id = first; id < end; id++) if (scores[id] > scores[best]) best = id;
  if (temperature <= 0) return best;
  let kept = [];
  for (const [first, end] of ranges) {
    for (let id = first; id < end; id++) {
      const weight = Math.exp((scores[id] - scores[best]) / temperature);
      if (weight > LEAST) kept.push([id, weight]);
    }
  }
  kept.sort((a, b) => b[1] - a[1]);
  if (topK > 0) kept = kept.slice(0, topK);
  let whole = kept.reduce((sum, [, weight]) => sum + weight, 0);
  if (topP < 1) {
    let sum = 0;
    const enough = kept.findIndex(([, weight]) => (sum += weight) >= topP * whole);
    kept = kept.slice(0, enough + 1);
    whole = kept.reduce((total, [, weight]) => total + weight, 0);
  }
  let at = random() * whole;
  for (const [id, weight] of kept) if ((at -= weight) < 0) return id;
  return kept.at(-1)[0];
}
