"""Folders of pictures: files by patterns, the table of what is known of each, and their pixels. No torch."""
