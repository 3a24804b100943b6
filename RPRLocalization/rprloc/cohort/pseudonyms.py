"""Pseudonyms of patients and studies: HMAC-SHA-256 under a secret salt."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import output_errors

_SALT_BYTES = 32
_DIGITS = 16


@dataclass(frozen=True, repr=False)
class Pseudonyms:
    """Turns identifiers into pseudonyms; equal ones into equal ones under one salt."""

    salt: bytes

    def of(self, kind: str, text: str) -> str | None:
        """Return the pseudonym of an identifier; None if the file tells none."""
        if not text:
            return None
        message = f"{kind}\0{text}".encode()
        return hmac.new(self.salt, message, hashlib.sha256).hexdigest()[:_DIGITS]

    @property
    def label(self) -> str:
        """Tell two salts apart without telling them."""
        return hmac.new(self.salt, b"label", hashlib.sha256).hexdigest()[:_DIGITS]


def read_or_make_salt(path: Path) -> Pseudonyms:
    """Read the salt of a file, which is made for the user alone if it is missing.

    Raises InputError for a salt that can be guessed, OutputError if none can be written.
    """
    if not path.exists():
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(secrets.token_hex(_SALT_BYTES) + "\n")
    try:
        salt = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(salt) < _SALT_BYTES:
        raise InputError(
            f"{path}: the salt is shorter than {_SALT_BYTES} characters: it could be guessed"
        )
    return Pseudonyms(salt)
