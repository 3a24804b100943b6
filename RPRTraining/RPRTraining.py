"""The module RPRTraining of 3D Slicer: registration only. Everything else is in RPRTrainingLib."""

from typing import Any

from RPRTrainingLib.traininglogic import RPRTrainingLogic
from RPRTrainingLib.trainingselftest import RPRTrainingTest
from RPRTrainingLib.trainingwidget import RPRTrainingWidget
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

__all__ = ["RPRTraining", "RPRTrainingLogic", "RPRTrainingTest", "RPRTrainingWidget"]


class RPRTraining(ScriptedLoadableModule):
    """Title, category and help."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("One-Shot Localization Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["RPRLocalization"]
        parent.contributors = ["RPRLoc developers"]
        parent.helpText = _(
            "Train a localization model of your own from a folder of CTs, for a body region or "
            "scanner that the"
            " bundled model does not know. The CTs need no annotations. Everything runs on this "
            "computer; nothing is"
            " uploaded. For research only, not for diagnosis or treatment."
        )
        parent.acknowledgementText = _(
            "Method: W. Lei, W. Xu, R. Gu, H. Fu, S. Zhang, S. Zhang, G. Wang: Contrastive "
            "Learning of Relative"
            " Position Regression for One-Shot Object Localization in 3D Medical Images. MICCAI "
            "2021."
        )
