"""`eyesight serve`: a classifier behind an address."""

from __future__ import annotations

from typing import Annotated

import typer

from .say import say

Option = typer.Option


def serve(
    model: Annotated[str, typer.Argument(help="A run's folder, a model file, an exported .onnx file, or the name of a pretrained network.")],
    host: Annotated[str, Option(help="Address to listen on; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port; 0 for one that is free.")] = 8000,
    api_key: Annotated[str | None, Option(envvar="EYESIGHT_API_KEY", help="Key that requests must carry in X-API-Key.")] = None,
    cors: Annotated[list[str] | None, Option(help="Origin of pages that may ask it, such as https://example.org, or *; may be repeated.")] = None,
    threshold: Annotated[float | None, Option(help="Say unsure where the largest probability is below, such as 0.8.", show_default="never")] = None,
    workers: Annotated[int, Option(min=1, max=256, help="Processes that share the port.")] = 1,
    threads: Annotated[int | None, Option(min=1, help="Threads that compute, in each process.", show_default="all cores")] = None,
    max_body: Annotated[float, Option(min=0.001, help="Megabytes of a request.")] = 8.388608,
    max_pixels: Annotated[float, Option(min=0.001, help="Megapixels of a picture, by its header.")] = 25.0,
    queue: Annotated[int, Option(min=1, help="Pictures that may wait; beyond it, clients are told to come again.")] = 256,
    timeout: Annotated[float, Option(min=0.1, help="Seconds for headers, for a body, and for an answer.")] = 20.0,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No line for every request.")] = False,
) -> None:  # fmt: skip
    """Answer over HTTP what a classifier says of pictures: POST /predict; a page to drop pictures on at /; more at /docs."""
    from ..api.serving import run_server

    def started(url: str) -> None:
        say(
            f"eyesight: serving {model} on {url} (Ctrl-C ends it); try: curl --data-binary @photo.jpg {url}/predict",
            err=True,
        )

    run_server(
        model, host=host, port=port, api_key=api_key, cors=cors or [], threshold=threshold, workers=workers, threads=threads, log=not quiet,
        started=started, body=round(1e6 * max_body), pixels=round(1e6 * max_pixels), queue=queue, timeout=timeout,
    )  # fmt: skip
