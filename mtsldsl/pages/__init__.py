"""Pages for people: templates with the style that all pages have, and a sharing as boxes and lines."""
