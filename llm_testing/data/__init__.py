"""Corpora, tokenizers and token files: from text at hand or downloaded to memory-mapped arrays of token ids."""
