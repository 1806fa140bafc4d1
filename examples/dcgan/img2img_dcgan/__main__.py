"""`python -m img2img_dcgan`."""

from img2img_dcgan.cli import app

app(prog_name="img2img-dcgan")
