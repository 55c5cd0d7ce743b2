"""The text tokenizer of `mini`: 16,384 pieces, learnt from a sample of the whole corpus.

tejat data build recipes/corpus.py --out runs/corpus
tejat tokenizer text train recipes/tokenizer.py

Of the text sources of 2026-11-25 (649 MB in 90 languages, Python and Metamath) it draws 32.3 MB. CPU time on one core:
about a minute to read the corpus twice, 9 s to train. Bytes a token on held-out text, mean of 46 languages: 3.18;
English 3.13, Python 3.20. docs/TOKENIZER.md has the table, and what other temperatures give. The one that mini's
recipes use ships as tejat/weights/mini/tokenizer.model: of 627 MB, words about pictures and sounds among them.
"""

from tejat.train.text_tokenizer import TextRecipe

RECIPE = TextRecipe("tokenizer", kind="bpe", pieces=16_384, bytes=32_000_000, temperature=2.0, coverage=0.999)
