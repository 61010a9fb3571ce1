"""``python -m storepulse``."""

from storepulse.cli import main

if __name__ == "__main__":
    main()
