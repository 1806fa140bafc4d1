"""`python -m img2img`."""

from img2img.cli.app import app

if __name__ == "__main__":
    app(prog_name="img2img")
