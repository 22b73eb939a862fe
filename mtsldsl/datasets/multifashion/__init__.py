"""MultiFashion: two garments in one picture."""
