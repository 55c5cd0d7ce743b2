// The API key, where the server asks for one: kept for this tab, or on this device if the person wishes.

const NAME = "tejat-api-key";

/** The key, or "". */
export const key = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "";

/** Is it kept on this device? */
export const remembered = () => localStorage.getItem(NAME) !== null;

/** Takes a key; "" forgets it. */
export function keep(value, remember) {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  if (value) (remember ? localStorage : sessionStorage).setItem(NAME, value);
}
