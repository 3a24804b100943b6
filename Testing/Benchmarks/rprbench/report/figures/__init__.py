"""The figures of the report: accuracy and time, pools, changes of the CT, trust, and cost."""
