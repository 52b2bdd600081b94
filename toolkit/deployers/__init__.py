"""(record or AWS image, instance type, options) → typed requests of a service. Nothing is sent from here.

`image` is what is deployed, `checks` what must be true before the first call.
"""
