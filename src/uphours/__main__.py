"""``python -m uphours``."""

from uphours.cli.command_line import main

if __name__ == "__main__":
    main()
