"""Stand-in for slicer.parameterNodeWrapper: a parameter node, typed and connected to widgets.

The part that scripted modules use most: int, float, str, bool, pathlib.Path, Enum, MRML nodes and
lists of these, with defaults and validators. Values are stored in the node as Slicer stores them,
so a scene can be read by either.
"""

from .connectors import Decimals, SingleStep
from .validators import Choice, Default, Exclude, Maximum, Minimum, Validator, WithinRange
from .wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "Maximum",
    "Minimum",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "findChildWidgetForParameter",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
