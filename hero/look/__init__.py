"""A look into a run: its episodes, what reflectors and teachers say of them, a page and the terminal."""
