"""The manual: Markdown pages, and what makes parts of them from the code."""
