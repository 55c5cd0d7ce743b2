// One line at a time: shown at the foot of the page for a moment, and read out by screen readers.

let timer = 0;

/** Says `sentence` politely; `lasting` for what should stay until it is dismissed or followed by another. */
export function announce(sentence, { lasting = false } = {}) {
  const line = document.getElementById("announcement");
  line.querySelector("span").textContent = sentence;
  line.classList.toggle("shown", Boolean(sentence));
  clearTimeout(timer);
  if (sentence && !lasting) timer = setTimeout(() => line.classList.remove("shown"), 4000);
}

/** For screen readers alone. */
export function murmur(sentence) {
  document.getElementById("murmur").textContent = sentence;
}
