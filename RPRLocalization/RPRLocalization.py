"""The module RPRLocalization of 3D Slicer: registration only.

Everything else is in RPRLocalizationLib.
"""

from typing import Any

import slicer
from RPRLocalizationLib.logic import RPRLocalizationLogic
from RPRLocalizationLib.sampledata import registerSampleData
from RPRLocalizationLib.selftest import RPRLocalizationTest
from RPRLocalizationLib.widget import RPRLocalizationWidget
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

__all__ = [
    "RPRLocalization",
    "RPRLocalizationLogic",
    "RPRLocalizationTest",
    "RPRLocalizationWidget",
]


class RPRLocalization(ScriptedLoadableModule):
    """Title, category and help."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("One-Shot Localization")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["RPRLoc developers"]
        parent.helpText = _(
            "Mark a landmark or draw a box around an organ on ONE reference CT; this module finds "
            "the same landmark or"
            " organ in other CTs. Or choose a template: then no reference CT is needed. Everything "
            "runs on this"
            " computer; nothing is uploaded. For research only, not for diagnosis or treatment."
        )
        parent.acknowledgementText = _(
            "Method: W. Lei, W. Xu, R. Gu, H. Fu, S. Zhang, S. Zhang, G. Wang: Contrastive "
            "Learning of Relative"
            " Position Regression for One-Shot Object Localization in 3D Medical Images. MICCAI "
            "2021."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
