"""A runner in FastAPI: a health check that is honest and light, and statuses that say what the gateway should do.

500: this request failed, the runner is fine.  503: the runner is broken, end it and try the request elsewhere.
504: something we depend on was too slow.      422: the caller's mistake.
Run it as /usr/bin/python3 -m uvicorn app:app --host 127.0.0.1 --port {port}
"""

import os
from typing import Dict

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Input(BaseModel):
    prompt: str
    fail: bool = False
    slow_dependency: bool = False


class OutOfMemory(RuntimeError):
    """What a GPU library raises when the device has no memory left."""


class Model:
    """Stands for a model on a GPU; after running out of memory it is no longer to be trusted."""

    def __init__(self) -> None:
        self.broken = False
        # Where this names a file that does not exist yet, the first prediction of all runners runs out of memory.
        self.oom_once = os.environ.get("OOM_ONCE_FILE")

    def predict(self, prompt: str) -> str:
        if self.oom_once and not self.broken:
            try:
                os.close(os.open(self.oom_once, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                self.broken = True
        if self.broken:
            raise OutOfMemory("CUDA error: out of memory")
        return prompt.upper()


app = FastAPI()
model = Model()


@app.exception_handler(OutOfMemory)
async def runner_is_broken(_request: Request, _error: OutOfMemory) -> JSONResponse:
    return JSONResponse({"detail": "CUDA error: out of memory"}, status_code=503)


@app.exception_handler(TimeoutError)
async def dependency_was_slow(_request: Request, _error: TimeoutError) -> JSONResponse:
    return JSONResponse({"detail": "A dependency timed out."}, status_code=504)


@app.exception_handler(ValueError)
async def inference_failed(_request: Request, error: ValueError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=500)


@app.get("/health")
async def health(response: Response) -> Dict[str, str]:
    # Light: it looks at what is known and never runs the model.
    if model.broken:
        response.status_code = 503
        return {"status": "unhealthy"}
    return {"status": "healthy"}


@app.post("/")
async def predict(input: Input) -> Dict[str, str]:
    if input.slow_dependency:
        raise TimeoutError
    if input.fail:
        raise ValueError("The model gave no answer.")
    return {"output": model.predict(input.prompt), "runner": os.environ.get("HEALTH_RUNNER_ID", "")}
