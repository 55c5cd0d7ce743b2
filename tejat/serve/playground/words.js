// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat("en");

/** "1,234". */
export const count = (n) => whole.format(Math.round(n));

/** "1 token", "2 tokens". */
export const plural = (n, noun) => `${count(n)} ${noun}${Math.round(n) === 1 ? "" : "s"}`;

/** "41 ms", "3.2 s", "1:05". */
export function seconds(value) {
  if (!Number.isFinite(value)) return "";
  if (value > 0 && value < 0.0995) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 59.95) return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} s`;
  const all = Math.round(value);
  return `${Math.floor(all / 60)}:${String(all % 60).padStart(2, "0")}`;
}

/** "812 B", "1.4 MB". */
export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** "today", "yesterday", "3 Nov", "3 Nov 2025". */
export function day(time, now = Date.now()) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (time >= midnight) return "Today";
  if (time >= midnight - 86_400_000) return "Yesterday";
  if (time >= midnight - 6 * 86_400_000) return "This week";
  const date = new Date(time);
  const year = date.getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString("en-GB", { month: "long", year });
}
