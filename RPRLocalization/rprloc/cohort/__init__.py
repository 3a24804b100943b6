"""From one CT to an archive: an index of its series, and localization in all of them.

What needs the optional extra ``cohort`` (pyarrow, pandas, Dask, ...) is imported when it is used.
"""
