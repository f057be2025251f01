"""HERO: hindsight self-distillation for multi-turn language agents. Import what you need from the submodules."""

__version__ = "0.1.0"
