"""How much worse runs are on corrupted pictures, side by side."""
