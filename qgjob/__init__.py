"""qgjob: a Kubernetes-native test queue for mobile teams. Import `qgjob.api` for the resources' models."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
