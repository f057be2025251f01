"""Reflectors turn an episode into a diagnosis of each of its turns."""
