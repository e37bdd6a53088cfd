"""`skyhex weights`: what a file of weights holds, and the authors' checkpoints in our layout."""

from pathlib import Path
from typing import Annotated

import typer

from ..form import check_ending
from ..terminal_text import visible
from .options import WeightsOption
from .progress import say

app = typer.Typer(no_args_is_help=True, help="What weights hold; official checkpoints in our layout.")


@app.command()
def info(weights: WeightsOption = "nano") -> None:
    """Name, digest, size, licence and configuration of weights."""
    from encoder.embed import Encoder
    from encoder.loading import load_encoder

    encoder = load_encoder(weights, "cpu")
    ours = encoder.model.parameters() if isinstance(encoder, Encoder) else ()
    parameters = f"{sum(p.numel() for p in ours):,}" if ours else "not counted"
    typer.echo(visible(f"name        {encoder.info.name}"))
    typer.echo(f"digest      {encoder.info.digest}")
    typer.echo(f"trained     {'yes' if encoder.info.trained else 'no, a seeded initialisation'}")
    typer.echo(f"parameters  {parameters}, output of {encoder.info.dimension} dimensions")
    typer.echo(visible(f"licence     {encoder.info.licence}"))
    typer.echo(visible(f"takes       {encoder.spec}"))


@app.command()
def convert(
    inputs: Annotated[list[Path], typer.Argument(help="One whole checkpoint, or its split files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .safetensors to write.", metavar="FILE")],
    allow_missing: Annotated[
        list[str] | None, typer.Option(help="Prefix of tensors that may be missing; repeatable.")
    ] = None,
) -> None:
    """Turn the authors' checkpoints into one .safetensors; no code in a file is run."""
    from encoder.convert import convert as convert_files

    check_ending(out, (".safetensors",), "weights")
    made = convert_files(inputs, out, allow_missing=allow_missing or ())
    say(f"{out}: {made.name}, {made.digest[:12]}")
    say(made.licence)
