"""LLM-Testing: a lab for training language models on one machine.

Layers, each importing only from those to its right (a test walks the imports):

    ui, api, cli > service > estimate > train > model, data > hub > jobs > store > config > errors
"""

__version__ = "0.1.0"
