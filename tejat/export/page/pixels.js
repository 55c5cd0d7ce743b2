// Images as patches and back, number for number as Tejat makes them: sides that fit a budget, Pillow's bicubic
// resampling (antialiased, in fixed point, across and then down), patches in reading order.

const PRECISION = 22; // bits of a weight behind the point

/** The largest [height, width], multiples of `step`, of about the same aspect with at most `budget` steps². */
export function fitted(height, width, step, budget, longest = budget) {
  let rows = wholeRoot(Math.floor((budget * height) / width)), columns = wholeRoot(Math.floor((budget * width) / height));
  if (!rows) [rows, columns] = [1, Math.min(Math.floor(width / height), budget)];
  else if (!columns) [rows, columns] = [Math.min(Math.floor(height / width), budget), 1];
  return [Math.min(rows, longest) * step, Math.min(columns, longest) * step];
}

function wholeRoot(square) {
  let root = Math.floor(Math.sqrt(square));
  while (root * root > square) root--;
  while ((root + 1) ** 2 <= square) root++;
  return root;
}

/** An image {height, width, data}, three bytes a pixel, in another size. */
export function resize(image, height, width) {
  let { data } = image;
  if (image.width !== width) data = across(data, image.height, image.width, width);
  if (image.height !== height) data = down(data, image.height, height, width);
  return { height, width, data };
}

/** For each place of the new side: where its pixels begin, and the weight of each. */
function weights(from, to) {
  const scale = from / to, wide = Math.max(scale, 1), support = 2 * wide;
  return Array.from({ length: to }, (_, at) => {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const found = Array.from({ length: end - first }, (_, n) => bicubic((n + first - centre + 0.5) * (1 / wide)));
    const sum = found.reduce((a, b) => a + b, 0);
    const fixed = found.map((weight) => {
      const share = (sum ? weight / sum : weight) * (1 << PRECISION);
      return Math.trunc(share + (share < 0 ? -0.5 : 0.5));
    });
    return [first, fixed];
  });
}

/** Keys' cubic with a = -1/2. */
function bicubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const byte = (sum) => Math.min(255, Math.max(0, sum >> PRECISION));

function across(data, height, from, to) {
  const found = new Uint8Array(height * to * 3), kernel = weights(from, to);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < to; x++) {
      const [first, fixed] = kernel[x];
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (PRECISION - 1);
        for (let n = 0; n < fixed.length; n++) sum += data[(y * from + first + n) * 3 + c] * fixed[n];
        found[(y * to + x) * 3 + c] = byte(sum);
      }
    }
  }
  return found;
}

function down(data, from, to, width) {
  const found = new Uint8Array(to * width * 3), kernel = weights(from, to), line = width * 3;
  for (let y = 0; y < to; y++) {
    const [first, fixed] = kernel[y];
    for (let x = 0; x < line; x++) {
      let sum = 1 << (PRECISION - 1);
      for (let n = 0; n < fixed.length; n++) sum += data[(first + n) * line + x] * fixed[n];
      found[y * line + x] = byte(sum);
    }
  }
  return found;
}

/** {patches, positions, count}: an image for the vision tower, those patches side by side that become one soft token. */
export function patchify(image, vision) {
  const { patch, pool, table, budgets } = vision, step = patch * pool;
  const squares = (image.height * image.width) / step ** 2, enough = budgets.find((one) => one >= squares) ?? budgets.at(-1);
  const budget = vision.budget_by_size ? enough : budgets[Math.floor(budgets.length / 2)];
  const [height, width] = fitted(image.height, image.width, step, budget, Math.floor(table / pool));
  const { data } = resize(image, height, width);
  const rows = height / patch, columns = width / patch, each = patch * patch * 3;
  const patches = new Float32Array(rows * columns * each), positions = new BigInt64Array(rows * columns * 2);
  let at = 0;
  for (let sy = 0; sy < rows; sy += pool) {
    for (let sx = 0; sx < columns; sx += pool) {
      for (let y = sy; y < sy + pool; y++) {
        for (let x = sx; x < sx + pool; x++, at++) {
          positions.set([BigInt(x), BigInt(y)], at * 2);
          for (let line = 0; line < patch; line++) {
            const from = ((y * patch + line) * width + x * patch) * 3;
            for (let n = 0; n < patch * 3; n++) patches[at * each + line * patch * 3 + n] = data[from + n] / 255;
          }
        }
      }
    }
  }
  return { patches, positions, size: [rows * columns, each], count: (rows * columns) / pool ** 2 };
}

/** Patches in reading order as an image of four bytes a pixel, for a canvas. */
export function joined(patches, rows, columns) {
  const side = wholeRoot(patches.length / (rows * columns * 3)), width = columns * side;
  const data = new Uint8ClampedArray(rows * side * width * 4).fill(255);
  for (let at = 0, n = 0; at < rows * columns; at++) {
    const top = Math.floor(at / columns) * side, left = (at % columns) * side;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const to = ((top + y) * width + left + x) * 4;
        for (let c = 0; c < 3; c++) data[to + c] = Math.fround(patches[n++] * 255); // cut, and rounded to even, by the array
      }
    }
  }
  return { height: rows * side, width, data };
}
