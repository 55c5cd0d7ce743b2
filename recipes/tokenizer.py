"""The text tokenizer of `mini`: 16,384 pieces, unigram, learnt from a sample of the whole corpus.

tejat data build recipes/corpus.py --out runs/corpus
tejat tokenizer text train recipes/tokenizer.py
"""

from tejat.train.text_tokenizer import TextRecipe

RECIPE = TextRecipe("tokenizer", pieces=16_384, bytes=32_000_000, temperature=3.0, coverage=0.999)
