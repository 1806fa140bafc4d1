"""`python -m img2img`."""

from img2img.cli.app import main

if __name__ == "__main__":
    main()
