// Code in colour, for any language much like the usual ones: [{kind: "comment" | "string" | "number" | "word" | null, text}].

const WORDS = new Set(
  `abstract and as assert async await bool boolean break case catch char class const continue def default del do double elif
  else end enum except export extends extern false finally float fn for from func function global go if impl implements import
  in include int interface is lambda let local long loop match mod module mut namespace new nil None nonlocal not null or
  package pass print private protected pub public raise return self short static string struct super switch then this throw
  trait True False true try type typeof undefined union unless unsafe until use using val var void when where while with yield
  SELECT FROM WHERE INSERT INTO UPDATE DELETE JOIN LEFT RIGHT INNER ON GROUP ORDER BY LIMIT AS AND OR NOT NULL CREATE TABLE
  echo fi done esac curl`.split(/\s+/),
);
const HASH = /^(?:py|python|sh|bash|shell|zsh|console|yaml|yml|toml|ini|rb|ruby|perl|r|make|makefile|dockerfile|conf)$/i;
const PLAIN = /^(?:text|txt|plain|markdown|md|diff|csv|log)$/i;
const LONGEST = 20_000; // longer code stays plain

/** Pieces of `code`, which joined are `code`. */
export function highlight(code, language) {
  if (PLAIN.test(language) || code.length > LONGEST) return [{ kind: null, text: code }];
  const comment = HASH.test(language) ? "#.*" : /^(?:sql|lua|haskell|hs)$/i.test(language) ? "--.*" : "\\/\\/.*|\\/\\*[^]*?(?:\\*\\/|$)";
  const pieces = new RegExp(
    `(?<comment>${comment})|(?<string>"(?:[^"\\\\\\n]|\\\\.)*"?|'(?:[^'\\\\\\n]|\\\\.)*'?|\`(?:[^\`\\\\]|\\\\[^])*\`?)` +
      "|(?<number>\\b\\d[\\w.]*)|(?<word>[A-Za-z_$][\\w$]*)",
    "g",
  );
  const out = [];
  let at = 0;
  const push = (kind, text) => {
    if (!text) return;
    if (out.length && out.at(-1).kind === kind) out.at(-1).text += text;
    else out.push({ kind, text });
  };
  for (const found of code.matchAll(pieces)) {
    push(null, code.slice(at, found.index));
    const kind = Object.keys(found.groups).find((name) => found.groups[name] !== undefined);
    push(kind === "word" && !WORDS.has(found[0]) ? null : kind, found[0]);
    at = found.index + found[0].length;
  }
  push(null, code.slice(at));
  return out;
}
