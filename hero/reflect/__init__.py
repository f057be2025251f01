"""Reflectors: what turns an episode into a diagnosis of each of its turns."""
