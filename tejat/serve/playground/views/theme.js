// Light or dark: as the system has it, until the person chooses.

const NAME = "tejat-theme";
const ORDER = ["", "light", "dark"];

apply(localStorage.getItem(NAME) ?? "");

/** The next of: as the system, light, dark. Tells which. */
export function turnTheme() {
  const next = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme ?? "") + 1) % ORDER.length];
  localStorage.setItem(NAME, next);
  apply(next);
  return { "": "Light or dark as the system has it.", light: "Light.", dark: "Dark." }[next];
}

function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
