"""How long what people and runs write may be: one declaration for those who write and for those who read it back."""

LONGEST_NAME = 80
LONGEST_NOTES = 20_000
LONGEST_TAG = 60
MOST_TAGS = 30
LONGEST_PLACE = 4096
"""A path, an address, or what is named like one: a corpus, a dataset, a model."""
LONGEST_WORD = 200
"""The name of something, or a word that is one of several."""
LONGEST_PROMPT = 10_000
LONGEST_TEXT = 50_000
"""What a model writes as one sample, and any text that nothing else is said of."""
LONGEST_TRACEBACK = 200_000
