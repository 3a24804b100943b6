"""RPRLoc: one-shot localization of organs and landmarks in CT by relative position regression.

Method: Lei et al., "Contrastive Learning of Relative Position Regression for One-Shot Object
Localization in 3D Medical Images", MICCAI 2021. Positions are LPS millimetres, arrays are (z, y,
x).
"""

__version__ = "0.1.0"
