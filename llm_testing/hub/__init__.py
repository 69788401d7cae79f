"""Every download: files by URL and text datasets of the Hugging Face Hub, with progress, resume and cancel."""
