"""`python -m webapp` is the command `shuzheng`."""

from webapp.cli import main

if __name__ == "__main__":
    main()
