"""The client of the registry's ``/v2/`` and ``/gitlab/v1/``, for the control plane."""
