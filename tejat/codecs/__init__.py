"""Parts to tokens and media arrays, and back. One file per kind of part; `framing` puts them together."""
