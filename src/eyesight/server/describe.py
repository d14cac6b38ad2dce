"""What a server says of itself in OpenAPI: one description that is written by hand, as requests are read by hand.

In: limits. Out: a document of OpenAPI 3.1.
"""

from __future__ import annotations

from typing import Any

from ..environment import package_version
from .limits import Limits

_ERRORS = {
    400: "What was sent is no picture that can be read; the text says why.",
    401: "The key is missing or another one.",
    408: "The body did not come in time.",
    413: "More bytes or more pixels than are accepted.",
    415: "The body says itself that it is no picture.",
    422: "A parameter that cannot be used.",
    429: "Too many pictures are waiting; Retry-After says when to send it again.",
    503: "Not answered in time, or the server is stopping.",
}
_ANSWER = {
    "type": "object",
    "required": ["source", "label", "probability", "top"],
    "properties": {
        "source": {"type": "string", "description": "The file's name, as it was sent."},
        "label": {"type": "string", "description": "The most probable class."},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "unsure": {"type": "boolean", "description": "Where a threshold is set: whether the probability is below."},
        "top": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["label", "probability"],
                "properties": {
                    "label": {"type": "string"},
                    "probability": {"type": "number", "minimum": 0, "maximum": 1},
                },
            },
        },
    },
}
_ERROR = {
    "type": "object",
    "required": ["error", "field"],
    "properties": {"error": {"type": "string"}, "field": {"type": ["string", "null"]}},
}


def describe(limits: Limits, *, key: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        limits: that are kept.
        key: whether requests need one.
    """
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "eyesight",
            "version": package_version("eyesight") or "0",
            "description": "A picture in, its class out.",
        },
        "paths": {
            "/predict": {"post": _predict(limits)},
            "/classes": {"get": _get("Class names, and the size of pictures that the network sees.", "Classes")},
            "/health": {"get": _get("Whether the process is alive.", "Health", others=(503,), open_to_all=True)},
            "/ready": {"get": _get("Whether pictures are answered now.", "Health", others=(503,), open_to_all=True)},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": {
                "Answer": _ANSWER,
                "Refused": _ERROR
                | {
                    "required": ["source", "error", "field"],
                    "properties": {"source": {"type": "string"}, **_ERROR["properties"]},  # type: ignore[dict-item]
                },
                "Error": _ERROR,
                "Predictions": {
                    "type": "object",
                    "required": ["predictions", "model"],
                    "properties": {
                        "predictions": {
                            "type": "array",
                            "items": {"anyOf": [_ref("Answer"), _ref("Refused")]},
                            "description": "One for each picture, in order.",
                        },
                        "model": {"type": ["string", "null"], "description": "SHA-256 of the model's file."},
                    },
                },
                "Classes": {
                    "type": "object",
                    "required": ["classes", "input"],
                    "properties": {
                        "classes": {"type": "array", "items": {"type": "string"}},
                        "input": {
                            "type": "object",
                            "properties": {name: {"type": "integer"} for name in ("height", "width", "channels")},
                        },
                    },
                },
                "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
            }
        },
    }
    if key:
        document["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        document["security"] = [{"key": []}]
    return document


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(name)}}}


def _predict(limits: Limits) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {
        "summary": "Name what is in one picture, or in several.",
        "description": (
            f"The body is a picture's file, or a form with up to {limits.pictures} files; {limits.body:,} bytes at "
            f"most, each picture of {limits.pixels:,} pixels at most. In a form, a picture that cannot be read has an "
            "error in its place, and the others their answers."
        ),
        "operationId": "predict",
        "parameters": [
            {
                "name": "top",
                "in": "query",
                "description": "Classes to give for each picture.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": binary,
                "image/jpeg": binary,
                "image/png": binary,
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                        },
                    }
                },
            },
        },
        "responses": {
            "200": _json("Predictions", "The answers."),
            **{str(status): _json("Error", text) for status, text in _ERRORS.items()},
        },
    }


def _get(summary: str, schema: str, *, others: tuple[int, ...] = (), open_to_all: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": summary, "responses": {"200": _json(schema, "Yes.")}}
    for status in others:
        found["responses"][str(status)] = _json("Health", "Not now.")
    if open_to_all:
        found["security"] = []
    else:
        found["responses"]["401"] = _json("Error", _ERRORS[401])
    return found


def _metrics() -> dict[str, Any]:
    return {
        "summary": "Counts, for Prometheus.",
        "responses": {
            "200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            "401": _json("Error", _ERRORS[401]),
        },
    }
