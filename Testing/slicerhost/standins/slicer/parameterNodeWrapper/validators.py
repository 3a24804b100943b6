"""Annotations of parameters: defaults and conditions on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Default:
    """The value of a parameter that is not in the node yet; ``generator`` makes a new one."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value


class Validator:
    """A condition; ``validate`` raises ValueError if a value does not meet it."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class WithinRange(Validator):
    """Between two values, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not between {self.minimum} and {self.maximum}")


class Minimum(Validator):
    """Not smaller than a value."""

    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is smaller than {self.minimum}")


class Maximum(Validator):
    """Not greater than a value."""

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is greater than {self.maximum}")


class Choice(Validator):
    """One of some values."""

    def __init__(self, choices: Any) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class Exclude(Validator):
    """None of some values."""

    def __init__(self, excludedValues: Any) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is one of {self.excludedValues}")
