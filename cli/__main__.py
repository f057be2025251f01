"""Start the command as `python -m hero_cli`, which torchrun needs."""

from .main import main

if __name__ == "__main__":
    main()
