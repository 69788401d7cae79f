"""The GPT, its weights on disk, what it says, and the devices it runs on."""
