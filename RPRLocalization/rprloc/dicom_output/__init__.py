"""Results in the clinic's own formats: DICOM SR (TID 1500) and RT structures (extra ``dicom``)."""
