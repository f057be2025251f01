"""Makes a small policy for any environment from scripted demonstrations: it knows better than it acts."""
